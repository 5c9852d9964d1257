"""The pages around logging in: the first-run link, codes, recovery codes and
passkeys, in Chromium (T5)."""
import re

import pytest
from selenium.webdriver.common.keys import Keys

from console_env import PASSWORD, Console
from console_page import ConsolePage
from passkey_page import key_hash
from pg import Cluster
from totp import Authenticator


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with Cluster() as cluster:
        c = Console(tmp_path_factory.mktemp('console'), cluster)
        c.settings['console.public_url'] = c.url
        yield c.start()
        assert c.stop() == 0, c.log()


@pytest.fixture(scope='module')
def page(console):
    page = ConsolePage(console.url, trusted=key_hash(console.cert))
    page.cdp('WebAuthn.enable')
    page.cdp('WebAuthn.addVirtualAuthenticator', options={
        'protocol': 'ctap2', 'transport': 'internal', 'hasResidentKey': True,
        'hasUserVerification': True, 'isUserVerified': True,
        'automaticPresenceSimulation': True})
    yield page
    page.close()


def test_first_run(console, page):
    out = console.ctl.ok('console', 'first-run-link', '--team', 'demo')
    fragment = re.search(r'/first-run(#\S+)', out)[1]
    page.driver.get(console.url + '/first-run' + fragment)
    page.settle()
    assert 'token' not in page.js('return location.href')
    page.until(lambda: page.focused() == 'name', 'focus')
    page.check('first-run')
    page.tab_through()
    page.fill('Your user name', 'olaf')
    page.fill('Password', 'correct horse')
    page.fill('Time zone', 'Europe/Vienna')
    page.click('Make the owner and go on')
    page.until(lambda: page.path == '/connect', 'the next step')
    page.settle()
    # one click away from the first endpoint
    assert page.named('Connect to desk1')
    assert console.sql("SELECT role FROM people WHERE name = 'olaf'") == [
        ('owner',)]
    assert console.sql("SELECT time_zone FROM teams WHERE name = 'demo'") == [
        ('Europe/Vienna',)]
    # the link was good once
    page.logout()
    page.driver.get(console.url + '/first-run' + fragment)
    page.settle()
    page.fill('Your user name', 'otto')
    page.fill('Password', 'correct horse')
    page.click('Make the owner and go on')
    page.wait_text('This link was used')
    page.problems()
    page.open('/first-run')
    page.wait_text('needs a one-time link')
    page.check('first-run-none')


def test_codes(console, page):
    page.logout()
    page.login('mia', PASSWORD)
    page.open('/account')
    page.wait_text('Codes of an authenticator')
    page.check('account')
    page.click('Set up codes …')
    secret = page.until(lambda: page.css('dialog .mono').text, 'the secret')
    app = Authenticator(secret)
    page.check('account-codes')
    page.fill('Code', '000000')
    page.click('Confirm')
    page.wait_text('The code is wrong')
    page.problems()
    page.fill('Code', app.code())
    page.click('Confirm')
    page.wait_text('Recovery codes')
    codes = [c.text for c in page.all('.codes li')]
    assert len(codes) == 10
    page.check('account-recovery')
    page.click('I have kept them')
    page.wait_text('10 recovery codes are left')
    page.click('Log out')
    page.until(lambda: page.path.startswith('/login'), 'the login')
    page.settle()
    page.fill('User name', 'mia')
    page.fill('Password', PASSWORD)
    page.click('Log in')
    page.until(lambda: page.focused() == 'code', 'the code')
    page.problems()
    page.check('login-code')
    page.fill('Code', 'wrong')
    page.click('Log in')
    page.wait_text('The code is wrong')
    page.problems()
    # pasted as it was read out
    page.fill('Code', f' {codes[0]} ')
    page.keys(Keys.ENTER)
    page.until(lambda: not page.path.startswith('/login'), 'the console')
    page.settle()
    page.open('/account')
    page.wait_text('9 recovery codes are left')


def test_passkey(console, page):
    page.logout()
    page.login('adam', PASSWORD)
    page.open('/account')
    page.click('Add a passkey …')
    page.until(lambda: page.focused() == 'name', 'the name')
    page.fill('Name', 'laptop')
    page.click('Save')
    page.wait_text('not used yet')
    page.check('account-passkey')
    page.click('Log out')
    page.until(lambda: page.path.startswith('/login'), 'the login')
    page.settle()
    page.until(lambda: page.named('Log in with a passkey'), 'the button')
    page.check('login-passkey')
    page.click('Log in with a passkey')
    page.until(lambda: not page.path.startswith('/login'), 'the console')
    page.settle()
    assert 'adam' in page.text('.person')
    page.open('/account')
    page.wait_text('last used')
    page.click('Remove laptop')
    page.click('Remove', 'dialog')
    page.until(lambda: not page.all('.panel .files'), 'none')


def test_an_address_that_is_no_text(console, page):
    """A link of somebody else may have any bytes."""
    page.open('/sessions/%ff')
    page.wait_text('This page does not exist')
    page.click('Go to Sessions')
    page.until(lambda: page.path == '/sessions', 'the sessions')


def test_team_that_requires_a_second_factor(console, page):
    console.login('alice').patch('settings/logins',
                                 json={'second_factor': 'required'})
    page.logout()
    page.open('/login')
    page.fill('User name', 'adam')
    page.fill('Password', PASSWORD)
    page.click('Log in')
    page.wait_text('Your team requires a second factor')
    assert page.path != '/login'
    page.wait_text('Set up codes')
    page.problems()
