"""The console in Chromium, used as a person would."""
import os
import shutil
import tempfile
import time

from selenium import webdriver
from selenium.common.exceptions import (NoSuchElementException,
                                        StaleElementReferenceException)
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import axe
from viewer_page import FLAGS

DESKTOP = 1440, 900
PHONE = 390, 844
SEEN_S = 60

# layout that moves without somebody's doing
WATCH = '''
window.shifts = [];
new PerformanceObserver((list) => {
  for (const e of list.getEntries())
    if (!e.hadRecentInput) window.shifts.push([e.value, e.sources.map((s) =>
      s.node && (s.node.outerHTML || s.node.textContent).slice(0, 120))]);
}).observe({type: 'layout-shift', buffered: true});
'''

COUNT_CONTROLS = '''
return [...document.querySelectorAll('a[href], button, input, select, textarea,'
  + ' summary')].filter((e) => !e.disabled && e.checkVisibility({
    visibilityProperty: true}) && e.tabIndex >= 0).length'''

TAB_STOP = '''
const e = document.activeElement;
if (!e || e === document.body) return null;
const b = e.getBoundingClientRect();
const top = document.elementFromPoint(
  Math.min(Math.max(b.left + b.width / 2, 0), innerWidth - 1),
  Math.min(Math.max(b.top + b.height / 2, 0), innerHeight - 1));
window.stops ||= new Map();
if (!stops.has(e)) stops.set(e, stops.size);
return [stops.get(e), getComputedStyle(e).outlineStyle !== 'none',
  !!top && (e.contains(top) || top.contains(e)), e.outerHTML.slice(0, 120)]'''


class ConsolePage:
    """One browser with a profile of its own; close() ends it."""

    def __init__(self, url, downloads=None, trusted=None):
        """trusted: hash of the key of a certificate that is taken for a real
        one (passkeys want that); without it, errors are passed over."""
        self.url = url
        self.profile = tempfile.mkdtemp(prefix='rc-chrome-')
        options = Options()
        options.binary_location = '/usr/bin/chromium'
        flags = FLAGS + [f'--user-data-dir={self.profile}']
        if trusted:
            flags.remove('--ignore-certificate-errors')
            flags.append('--ignore-certificate-errors-spki-list=' + trusted)
        for flag in flags:
            options.add_argument(flag)
        options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
        self.driver = webdriver.Chrome(
            service=Service('/usr/bin/chromedriver'), options=options)
        self.driver.set_script_timeout(120)
        self.cdp('Network.enable')
        self.cdp('Page.addScriptToEvaluateOnNewDocument', source=WATCH)
        if downloads:
            self.cdp('Browser.setDownloadBehavior', behavior='allow',
                     downloadPath=str(downloads))
        self.screen(*DESKTOP)

    def cdp(self, command, **args):
        return self.driver.execute_cdp_cmd(command, args)

    def screen(self, width, height, scheme='light'):
        self.cdp('Emulation.setDeviceMetricsOverride', width=width,
                 height=height, deviceScaleFactor=1, mobile=width < 600)
        self.scheme(scheme)

    def scheme(self, scheme):
        self.cdp('Emulation.setEmulatedMedia', features=[
            {'name': 'prefers-color-scheme', 'value': scheme},
            {'name': 'prefers-reduced-motion', 'value': 'reduce'}])

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    # --- going somewhere -----------------------------------------------------

    def open(self, path='/'):
        self.driver.get(self.url + path)
        self.settle()

    def settle(self):
        """Until a heading is there and nothing is being loaded."""
        self.until(lambda: self.js(
            "return !!document.querySelector('h1') && "
            "!document.querySelector('[aria-busy=true]')"), 'a settled page')

    @property
    def path(self):
        return self.js('return location.pathname + location.search')

    def login(self, user, password):
        self.open('/login')
        self.driver.find_element(By.ID, 'user').send_keys(user)
        self.driver.find_element(By.ID, 'password').send_keys(password)
        self.click('Log in')
        self.until(lambda: not self.path.startswith('/login'), 'the console')
        self.settle()

    def logout(self):
        """The cookie is lost; no page is left that asks without it."""
        self.driver.get('about:blank')
        self.cdp('Network.clearBrowserCookies')

    # --- finding -------------------------------------------------------------

    def js(self, script, *args):
        return self.driver.execute_script(script, *args)

    def until(self, done, what, timeout_s=SEEN_S):
        end = time.monotonic() + timeout_s
        while True:
            try:
                value = done()
                if value:
                    return value
            except (NoSuchElementException, StaleElementReferenceException,
                    IndexError):
                pass
            assert time.monotonic() < end, (
                f'not seen in {timeout_s} s: {what}; the page: {self.text("#app")[:900]}; '
                f'{self.problems()}')
            time.sleep(0.05)

    def css(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector='body'):
        return self.js('return document.querySelector(arguments[0])'
                       '?.innerText || ""', selector)

    def named(self, name, scope=''):
        """The control of this text or label that can be seen."""
        found = self.js('''
const wanted = arguments[0];
return [...document.querySelectorAll(
  `${arguments[1]} :is(a, button, input, select, textarea, [role=menuitem])`)]
  .find((e) => e.checkVisibility() && (e.innerText?.trim() === wanted ||
    e.getAttribute('aria-label') === wanted ||
    [...(e.labels || [])].some((l) => l.innerText.trim() === wanted)));
''', name, scope)
        if found is None:
            raise NoSuchElementException(f'nothing named {name}')
        return found

    def click(self, name, scope=''):
        self.until(lambda: self.named(name, scope), name).click()

    def fill(self, name, text, scope=''):
        field = self.until(lambda: self.named(name, scope), name)
        if field.tag_name == 'select' or field.get_attribute('type') == 'date':
            self.js('''
const proto = Object.getPrototypeOf(arguments[0]);
Object.getOwnPropertyDescriptor(proto, 'value').set.call(arguments[0],
  arguments[1]);
arguments[0].dispatchEvent(new Event('input', {bubbles: true}));
arguments[0].dispatchEvent(new Event('change', {bubbles: true}));
''', field, text)
        else:
            field.send_keys(Keys.CONTROL, 'a')
            field.send_keys(text or Keys.DELETE)

    def wait_text(self, text, selector='body'):
        self.until(lambda: text in self.text(selector), text)

    def rows(self):
        """Texts of the cells that are seen, row by row."""
        return self.js('''
return [...document.querySelectorAll('tr[data-row]')].map((r) =>
  [...r.querySelectorAll('td:not(.c-check, .c-menu)')].filter((c) =>
    c.checkVisibility()).map((c) => c.innerText.trim().replace(/\\s+/g, ' ')))''')

    def keys(self, *keys):
        actions = ActionChains(self.driver)
        for key in keys:
            actions.send_keys(key)
        actions.perform()

    def tab_through(self):
        """Tab reaches every control that is seen, in turn, and each shows that
        it has the focus and is not covered."""
        self.js('document.activeElement.blur()')
        count = self.js(COUNT_CONTROLS)
        seen, n_ends = set(), 0
        for _ in range(2 * count + 40):
            self.keys(Keys.TAB)
            found = self.js(TAB_STOP)
            if found is None:   # it may have begun at a field in the middle
                n_ends += 1
                if n_ends == 2 or len(seen) >= count:
                    break
                continue
            number, is_marked, is_on_top, text = found
            assert is_marked, text
            assert is_on_top, text
            seen.add(number)
        # the parts of a date field are stops of their own: not more controls
        assert len(seen) >= count, (len(seen), count)

    def focused(self):
        return self.js('const e = document.activeElement; return '
                       'e.getAttribute("aria-label") || e.innerText || e.id')

    # --- judging -------------------------------------------------------------

    def problems(self):
        """What the browser complained about, since the last call. An answer
        401 to "who am I" is how the console says: nobody."""
        return [e['message'] for e in self.driver.get_log('browser')
                if e['level'] == 'SEVERE' and not (
                    '/api/v1/me ' in e['message'] and '401' in e['message'])]

    def shifts(self):
        return self.js('return window.shifts')

    def picture(self, name):
        keep = os.environ.get('RELAYCAM_SCREENSHOTS')
        if keep:
            self.driver.save_screenshot(os.path.join(keep, f'{name}.png'))

    def check(self, name):
        """No violation of axe's rules in light and dark on a desktop and a
        phone, no layout shift, no error; pictures where they are wanted."""
        found = {}
        shifted = [s for s in self.shifts() if s[0] > 0.001]
        for size_name, size in (('desktop', DESKTOP), ('phone', PHONE)):
            for scheme in ('light', 'dark'):
                self.screen(*size, scheme)
                self.settle()
                self.picture(f'{name}-{size_name}-{scheme}')
                wrong = axe.violations(self.driver)
                if wrong:
                    found[f'{size_name} {scheme}'] = wrong
                wide = self.js('return document.documentElement.scrollWidth')
                if wide > size[0]:
                    found[f'{size_name} width'] = wide
        self.screen(*DESKTOP)
        assert not found, '\n'.join(f'{k}: {x}' for k, v in found.items()
                                    for x in (v if isinstance(v, list)
                                              else [v]))
        assert not shifted, shifted
        assert not (wrong := self.problems()), wrong
