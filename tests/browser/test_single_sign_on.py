"""Single sign-on in Chromium, with console, provider and a third site at names
of different sites: which cookies come along at the callback, and that the
person is logged in on the page that follows, however it was begun."""
import http.server
import json
import shutil
import ssl
import tempfile
import threading
import urllib.parse

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from oidc_env import CALLBACK
from sign_on_rig import fill_in, running, set_up
from storage_env import wait_for
from viewer_page import FLAGS

START = '/api/v1/login/single-sign-on?team=demo&return_to=/api/v1/me'
STRICT, LAX = 'probe-strict', 'probe-lax'


class Site(http.server.BaseHTTPRequestHandler):
    """A page of somebody else with a link to the login."""

    def do_GET(self):
        body = f'<a id=go href="{self.server.link}">log in</a>'.encode()
        self.send_response(200)
        self.send_header('Content-Type', 'text/html')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    with running(tmp_path_factory.mktemp('sso')) as console:
        set_up(console, link_people=True)
        third = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Site)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*console.identity)
        third.socket = context.wrap_socket(third.socket, server_side=True)
        third.link = console.name + START
        third.name = f'https://third.localhost:{third.server_address[1]}/'
        threading.Thread(target=third.serve_forever, daemon=True).start()
        console.third = third
        yield console
        third.shutdown()
        third.server_close()


@pytest.fixture
def chromium():
    profile = tempfile.mkdtemp(prefix='rc-chrome-')
    options = Options()
    options.binary_location = '/usr/bin/chromium'
    for flag in FLAGS + [f'--user-data-dir={profile}']:
        options.add_argument(flag)
    options.set_capability('goog:loggingPrefs', {'performance': 'ALL'})
    driver = webdriver.Chrome(service=Service('/usr/bin/chromedriver'),
                              options=options)
    yield driver
    driver.quit()
    shutil.rmtree(profile, ignore_errors=True)


def set_probes(driver, console):
    driver.execute_cdp_cmd('Network.enable', {})
    for name, kind in ((STRICT, 'Strict'), (LAX, 'Lax')):
        driver.execute_cdp_cmd('Network.setCookie', {
            'name': name, 'value': 'x', 'url': console.name, 'path': '/',
            'secure': True, 'sameSite': kind})
    driver.get_log('performance')


def sent(driver, path):
    """The names of the cookies that went with the request for a path, to which
    redirects led."""
    found, cookies = None, {}
    for entry in driver.get_log('performance'):
        m = json.loads(entry['message'])['message']
        p = m['params']
        if m['method'] == 'Network.requestWillBeSent':
            if urllib.parse.urlsplit(p['request']['url']).path == path:
                found = p['requestId']
        elif m['method'] == 'Network.requestWillBeSentExtraInfo':
            # the requests of a chain of redirects have one id
            cookies[p['requestId']] = [
                c['cookie']['name'] for c in p['associatedCookies']
                if not c['blockedReasons']]
    return cookies[found]


def expect_me(driver, console):
    def there():
        return driver.current_url == console.name + '/api/v1/me'
    wait_for(f'the page afterwards, not {driver.current_url}', there, 60)
    text = driver.find_element(By.TAG_NAME, 'body').text
    assert '"user":"mia"' in text, text


def forget_login(driver):
    driver.execute_cdp_cmd('Network.deleteCookies', {
        'name': '__Host-relaycam', 'url': driver.current_url})


def test_by_a_page_and_at_once(site, chromium):
    driver = chromium
    set_probes(driver, site)
    driver.get(site.name + START)
    fill_in(driver)
    expect_me(driver, site)
    by_page = sent(driver, CALLBACK)
    # a Strict cookie would not have come: why the login's is Lax
    assert LAX in by_page and STRICT not in by_page
    assert '__Host-relaycam-login' in by_page

    # the provider knows the person: no page of it in between
    forget_login(driver)
    driver.get(site.name + START)
    expect_me(driver, site)
    at_once = sent(driver, CALLBACK)
    assert '__Host-relaycam-login' in at_once
    assert LAX in at_once and STRICT in at_once


def test_by_a_link_of_another_site(site, chromium):
    """The navigation begins elsewhere, and the page afterwards has the
    session's Strict cookie all the same."""
    driver = chromium
    set_probes(driver, site)
    for is_known in (False, True):
        driver.get(site.third.name)
        driver.find_element(By.ID, 'go').click()
        if not is_known:
            fill_in(driver)
        expect_me(driver, site)
        cookies = sent(driver, CALLBACK)
        assert LAX in cookies and STRICT not in cookies
        forget_login(driver)


def test_from_the_login_page_to_the_page_that_was_asked_for(site, chromium):
    driver = chromium
    path = '/recordings?status=available'
    driver.get(site.name + path)
    wait_for('the button', lambda: driver.find_elements(
        By.PARTIAL_LINK_TEXT, 'Single sign-on'), 60)
    assert '/login?next=' in driver.current_url
    driver.find_element(By.PARTIAL_LINK_TEXT, 'Single sign-on').click()
    fill_in(driver)
    wait_for('the page', lambda: driver.current_url == site.name + path, 60)
    wait_for('its heading', lambda: [
        h for h in driver.find_elements(By.TAG_NAME, 'h1')
        if h.text == 'Recordings'], 60)
    assert driver.current_url == site.name + path


def test_who_gives_up_comes_back_to_a_page(site, chromium):
    driver = chromium
    driver.get(site.name + CALLBACK + '?error=access_denied&state=x')
    assert 'Begin again' in driver.find_element(By.TAG_NAME, 'main').text
    link = driver.find_element(By.LINK_TEXT, 'Back to the login page')
    assert link.get_attribute('href') == site.name + '/'
