"""The browser viewer's page in Chromium, used as a person would."""
import base64
import contextlib
import io
import shutil
import tempfile

import numpy as np
from PIL import Image
from process import wait_until
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

FLAGS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic',
         '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync',
         '--ignore-certificate-errors']

# room for 1280 x 800 below the bar, at 1:1 and without scrollbars
SCREEN = 1400, 960
KEEP_SOCKETS = '''
window.sockets = [];
window.texts = [];
window.WebSocket = new Proxy(WebSocket, {
  construct(target, args) {
    const socket = new target(...args);
    window.sockets.push(socket);
    socket.addEventListener('message', (event) => {
      if (typeof event.data === 'string')
        window.texts.push(JSON.parse(event.data));
    });
    return socket;
  }
});
'''


def sentence(text):
    """As the page shows what the relay says."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith(('.', '!', '?')) else text + '.'


class Page:
    """One browser window; close() ends it."""

    def __init__(self, port):
        self.url = f'https://localhost:{port}/'
        self.profile = tempfile.mkdtemp(prefix='rc-chrome-')
        options = Options()
        options.binary_location = '/usr/bin/chromium'
        for flag in FLAGS + [f'--user-data-dir={self.profile}']:
            options.add_argument(flag)
        options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
        self.driver = webdriver.Chrome(
            service=Service('/usr/bin/chromedriver'), options=options)
        self._set_screen(*SCREEN, 'light')
        # the page keeps its connection to itself; tests may lie through it
        self.driver.execute_cdp_cmd(
            'Page.addScriptToEvaluateOnNewDocument', {'source': KEEP_SOCKETS})

    def _set_screen(self, width, height, scheme):
        self.driver.execute_cdp_cmd(
            'Emulation.setDeviceMetricsOverride',
            {'width': width, 'height': height, 'deviceScaleFactor': 1,
             'mobile': False})
        self.driver.execute_cdp_cmd(
            'Emulation.setEmulatedMedia', {'features': [
                {'name': 'prefers-color-scheme', 'value': scheme}]})

    @contextlib.contextmanager
    def screen(self, width, height, scheme='light'):
        """For a while another size or colour scheme."""
        self._set_screen(width, height, scheme)
        try:
            yield
        finally:
            self._set_screen(*SCREEN, 'light')

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    # --- what is there -----------------------------------------------------

    def open(self, fragment=''):
        # from elsewhere: a fragment alone would not load the page anew
        self.driver.get('about:blank')
        self.driver.get(self.url + fragment)

    def at(self, element_id):
        return self.driver.find_element(By.ID, element_id)

    def text(self, element_id):
        return self.at(element_id).text

    @property
    def view(self):
        return self.driver.execute_script('return document.body.dataset.view')

    def wait_view(self, view, timeout_s=20):
        wait_until(lambda: self.view == view, timeout_s, f'view {view}')

    def problems(self):
        """What the browser complained about: errors, refused content."""
        return [e['message'] for e in self.driver.get_log('browser')
                if e['level'] == 'SEVERE']

    def screenshot(self, path):
        self.driver.save_screenshot(path)

    # --- a session ---------------------------------------------------------

    def login(self, person, endpoint, password):
        for name, value in (('person', person), ('endpoint', endpoint),
                            ('password', password)):
            self.at(name).clear()
            self.at(name).send_keys(value)
        self.driver.find_element(By.CSS_SELECTOR, '#login button').click()

    def wait_connected(self):
        self.wait_view('session', 30)
        wait_until(lambda: self.at('state').get_attribute('aria-label') ==
                   'Connected', 20, 'noVNC')
        wait_until(lambda: self.canvas() is not None, 20, 'a picture')

    def disconnect(self):
        self.at('disconnect').click()
        self.wait_view('ended')

    def choose(self, element_id, value):
        Select(self.at(element_id)).select_by_value(str(value))

    def chosen(self, element_id):
        return self.at(element_id).get_attribute('value')

    def set_picture(self, quality, scale):
        self.at('picture').click()
        self.choose('quality', quality)
        self.choose('scale', scale)
        self.at('picture').click()

    def canvas(self):
        """The picture as RGB (height, width, 3), None while it has no
        size."""
        url = self.driver.execute_script(
            "const c = document.querySelector('#desktop canvas');"
            "return c && c.width ? c.toDataURL('image/png') : null")
        if url is None:
            return None
        png = base64.b64decode(url.split(',')[1])
        return np.asarray(Image.open(io.BytesIO(png)).convert('RGB'))

    def click_desktop(self, x, y):
        """Clicks the desktop's pixel x, y; size is to be 1:1."""
        canvas = self.driver.find_element(By.CSS_SELECTOR, '#desktop canvas')
        size = canvas.size
        ActionChains(self.driver).move_to_element_with_offset(
            canvas, x - size['width'] // 2, y - size['height'] // 2
        ).click().perform()

    def type(self, text):
        ActionChains(self.driver).send_keys(text).perform()

    def chord(self, *keys):
        actions = ActionChains(self.driver)
        for key in keys:
            actions.key_down(key)
        for key in reversed(keys):
            actions.key_up(key)
        actions.perform()

    def texts(self, kind):
        """Messages of a kind that the relay sent since the page loaded."""
        return self.driver.execute_script(
            'return window.texts.filter(t => t.type === arguments[0])', kind)

    def send_text_past_the_page(self, text):
        self.driver.execute_script(
            'window.sockets[window.sockets.length - 1].send(arguments[0])',
            text)

    def send_key_past_the_page(self, keysym):
        """A KeyEvent, RFC 6143 section 7.5.4, straight into the socket."""
        self.driver.execute_script("""
const socket = window.sockets[window.sockets.length - 1];
const low = arguments[0] & 255, high = arguments[0] >> 8;
for (const down of [1, 0])
  socket.send(new Uint8Array([4, down, 0, 0, 0, 0, high, low]));
""", keysym)
