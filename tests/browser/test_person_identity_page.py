"""Management > People > Single sign-on of a person in Chromium, with a real OpenID
provider: linked by the subject the person gets in, unlinked they do not (X7)."""
import pytest
from selenium.webdriver.common.by import By

from console_env import PASSWORD
from console_page import ConsolePage
from sign_on_rig import fill_in, running, set_up


@pytest.fixture(scope='module')
def console(tmp_path_factory):
    with running(tmp_path_factory.mktemp('identity')) as console:
        yield console


@pytest.fixture(scope='module')
def page(console):
    page = ConsolePage(console.name)
    page.login('alice', PASSWORD)
    yield page
    page.close()


def row_of(page, name):
    return page.until(lambda: next(
        (r for r in page.all('tr[data-row]') if name in r.text.split()), None),
        name)


def open_menu(page, name):
    page.open('/people')
    page.js('arguments[0].click()', row_of(page, name).find_element(
        By.CSS_SELECTOR, '.c-menu button'))
    return page.until(lambda: page.named('Single sign-on …', '.menu'),
                      'the entry')


def show(page, name):
    open_menu(page, name).click()
    page.wait_text(f'Single sign-on of {name}', 'dialog')
    page.until(lambda: 'Loading' not in page.text('dialog'), 'the answer')


def identity(console, name):
    return console.sql(
        'SELECT i.issuer, i.subject FROM identities i JOIN people p ON p.id = '
        'i.person_id WHERE p.name = %s', (name,))


def sign_in(page):
    """From the login page, at the provider."""
    page.open('/login')
    page.until(lambda: page.driver.find_elements(
        By.PARTIAL_LINK_TEXT, 'Single sign-on'), 'the button')[0].click()
    fill_in(page.driver)


def test_a_team_without_single_sign_on_is_told(page):
    show(page, 'mia')
    page.wait_text('Set it up first', 'dialog')
    assert not page.all('dialog [name=subject]')
    page.check('person-identity-not-set-up')
    page.driver.find_element(By.LINK_TEXT,
                             'Settings of single sign-on').click()
    page.until(lambda: page.path == '/settings/single-sign-on', 'the settings')
    page.until(lambda: not page.all('dialog'), 'the end of the dialog')


def test_a_person_is_linked_and_logs_in(console, page):
    set_up(console)
    show(page, 'mia')
    page.wait_text(f'Not linked to anybody at {console.provider.issuer}')
    page.until(lambda: page.js('return document.activeElement.name') ==
               'subject', 'the field')
    page.check('person-identity-none')
    page.click('Link', 'dialog')    # nothing was typed
    assert page.all('dialog')
    page.fill('Subject', 'u-mia', 'dialog')
    page.click('Link', 'dialog')
    page.wait_text('The person is linked.')
    assert 'Single sign-on' in row_of(page, 'mia').text
    assert identity(console, 'mia') == [(console.provider.issuer, 'u-mia')]
    assert console.audited('user_link')[:2] == ('alice', 'mia')
    # no other can be the same
    show(page, 'adam')
    page.fill('Subject', 'u-mia', 'dialog')
    page.click('Link', 'dialog')
    page.wait_text('mia is linked to that already.', 'dialog')
    assert len(page.problems()) == 1    # the browser's line of that answer
    page.click('Cancel', 'dialog')
    assert not identity(console, 'adam')
    page.logout()
    sign_in(page)
    page.until(lambda: page.path == '/sessions', 'the console')
    page.wait_text('mia')
    assert not [p for p in page.problems() if console.name in p]


def test_a_link_is_shown_changed_and_taken_away(console, page):
    page.logout()
    page.login('alice', PASSWORD)
    show(page, 'mia')
    text = page.text('dialog')
    assert console.provider.issuer in text and 'u-mia' in text
    assert 'Never' not in text      # she was there
    page.check('person-identity')
    page.fill('Link to another subject', 'u-other', 'dialog')
    page.click('Link', 'dialog')
    page.wait_text('The person is linked.')
    assert identity(console, 'mia')[0][1] == 'u-other'
    # of another issuer it opens nothing
    console.sql("UPDATE identities SET issuer = 'https://old.example'")
    show(page, 'mia')
    page.wait_text('nobody can log in by this link', 'dialog')
    page.check('person-identity-other-issuer')
    page.click('Unlink …', 'dialog')
    page.wait_text('Nobody can log in as mia by single sign-on', 'dialog')
    page.click('Unlink', 'dialog')
    page.wait_text('The person is not linked any more.')
    assert 'Single sign-on' not in row_of(page, 'mia').text
    assert identity(console, 'mia') == []
    page.logout()
    sign_in(page)
    page.wait_text('Back to the login page')
    page.problems()     # the browser's line of 403
    assert console.audited('login_failed')[2]['subject'] == 'u-mia'


def test_who_may_not_cannot(page):
    page.logout()
    page.login('adam', PASSWORD)
    entry = open_menu(page, 'alice')
    assert entry.get_attribute('aria-disabled') == 'true'
    assert entry.get_attribute('title') == 'Only an owner may do that.'
    assert open_menu(page, 'mia').get_attribute('aria-disabled') != 'true'
    page.problems()
