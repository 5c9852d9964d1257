"""Management > Settings > Single sign-on in Chromium: it is set up, changed and
removed by its form; the secret is never shown; only owners change it (X7)."""
import pytest
from selenium.webdriver.common.by import By

from console_env import PASSWORD, Console
from page_fixtures import page  # noqa: F401
from pg import Cluster

PATH = '/settings/single-sign-on'
SECRET = 'a secret that nobody sees'


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster,
                    **{'console.public_url': 'https://console.example'})
        yield c.start()
        assert c.stop() == 0, c.log()


def stored(console):
    return dict(console.sql(
        "SELECT k, v FROM single_sign_on s, jsonb_each(single_sign_on_show("
        's.team_id)) j (k, v)'))


def test_it_is_set_up(console, page):
    page.open('/settings')
    page.click('Single sign-on', '.tabs')
    page.wait_text('Not set up')
    page.check('single-sign-on')
    page.fill('Issuer', 'https://login.example.com/realms/staff')
    page.fill('Client ID', 'relaycam')
    page.fill('Client secret', SECRET)
    page.fill('Name on the login page', 'Example staff')
    page.fill('Groups of admins', 'it-admins\nhelp desk leads')
    page.click('Add people at their first login')
    page.click('Set up')
    page.wait_text('Saved. It holds for logins from now on.')
    s = stored(console)
    assert (s['issuer'], s['client_id'], s['title']) == (
        'https://login.example.com/realms/staff', 'relaycam', 'Example staff')
    assert s['admin_groups'] == ['it-admins', 'help desk leads']
    assert s['create_people'] is True and s['enabled'] is False
    assert s['has_client_secret'] is True
    page.wait_text('https://console.example/api/v1/login/single-sign-on/'
                   'callback')
    page.wait_text('One is stored and never shown')
    assert SECRET not in page.driver.page_source
    page.check('single-sign-on-set')


def test_what_is_wrong_is_said_at_its_field(console, page):
    page.open(PATH)
    page.fill('Scopes', 'profile')
    page.click('Save')
    page.until(lambda: page.js(
        'return document.activeElement.id') == 'sso-scopes', 'the field')
    assert page.js('return document.activeElement.getAttribute("aria-invalid")'
                   ) == 'true'
    page.problems()     # the browser complains about 422
    assert stored(console)['scopes'] == 'openid profile email'


def test_it_is_switched_on_and_a_change_leaves_the_rest(console, page):
    page.open(PATH)
    page.click('Single sign-on is on')
    page.click('Save')
    page.wait_text('Try it in a new tab')
    s = stored(console)
    assert s['enabled'] is True and s['password_owner'] == 'alice'
    assert s['has_client_secret'] is True
    assert s['admin_groups'] == ['it-admins', 'help desk leads']
    link = page.driver.find_element(By.LINK_TEXT, 'Try it in a new tab')
    assert link.get_attribute('href').endswith('/single-sign-on?team=demo')
    page.click('Save')
    page.wait_text('Nothing was changed.')


def test_admins_look_and_change_nothing(console, page):
    page.logout()
    page.login('adam', PASSWORD)
    page.open(PATH)
    page.wait_text('Only owners change settings')
    issuer = page.until(lambda: page.named('Issuer'), 'the form')
    assert not issuer.is_enabled()
    page.check('single-sign-on-admin')
    page.logout()
    page.login('alice', PASSWORD)


def test_it_is_removed(console, page):
    page.open(PATH)
    page.click('Remove …')
    page.click('Remove', 'dialog')
    page.wait_text('Not set up')
    assert console.sql('SELECT count(*) FROM single_sign_on') == [(0,)]
