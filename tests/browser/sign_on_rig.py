"""A console and a real OpenID provider at names of different sites, and how a person
in a browser gets from one to the other."""
import contextlib
import os

from selenium.webdriver.common.by import By

from console_env import Console
from ctl import BUILD, ROOT, Ctl
from oidc_env import CALLBACK, CLIENT, SECRET, Provider
from pg import Cluster
from storage_env import wait_for

PEOPLE = {'u-mia': {'preferred_username': 'mia', 'email': 'm@example.com'}}


@contextlib.contextmanager
def running(folder):
    """The console; its name, its provider and the provider's certificate and key
    (console.identity) are of the test. The team has no single sign-on yet."""
    cert, key = Ctl.certificate(folder, 'provider.localhost',
                                prefix='provider')
    with Cluster() as cluster:
        console = Console(folder, cluster, **{
            'console.pages_dir': os.path.join(ROOT, 'console', 'pages'),
            'console.modules_dir': os.path.join(BUILD, 'console', 'modules')})
        console.name = f'https://console.localhost:{console.port}'
        console.identity = cert, key
        console.provider = Provider(folder, cert, key, PEOPLE,
                                    'provider.localhost')
        console.settings['console.public_url'] = console.name
        console.settings['console.provider_ca_file'] = cert
        console.provider.serve(console.name + CALLBACK)
        console.start()
        yield console
        console.provider.stop()
        assert console.stop() == 0, console.log()


def set_up(console, **more):
    r = console.login('alice').patch('settings/single-sign-on', json={
        'issuer': console.provider.issuer, 'client_id': CLIENT,
        'client_secret': SECRET, 'enabled': True, **more})
    assert r.status_code == 200, r.text


def at_provider(driver):
    return '/interaction/' in driver.current_url and driver.find_elements(
        By.NAME, 'login')


def fill_in(driver, subject='u-mia'):
    wait_for("the provider's page", lambda: at_provider(driver), 60)
    driver.find_element(By.NAME, 'login').send_keys(subject)
    driver.find_element(By.NAME, 'password').send_keys('x')
    driver.find_element(By.CSS_SELECTOR, 'button[type=submit]').click()
