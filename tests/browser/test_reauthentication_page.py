"""The console's pages when a login is not new and credentials are to be changed
(X7): a question in front of the dialog, which goes on when it is answered."""
import pytest

from console_env import PASSWORD
from console_fixtures import cluster, started  # noqa: F401
from page_fixtures import page  # noqa: F401


@pytest.fixture(scope='module')
def console(tmp_path_factory, cluster):
    for c in started(tmp_path_factory.mktemp('console'), cluster):
        c.stop()
        c.settings['console.reauthentication_seconds'] = '10m'
        c.start()
        yield c


def age(console):
    console.sql("UPDATE logins SET confirmed_at = now() - interval '1 hour'")


def new_token(console, page, name):
    page.open('/tokens')
    age(console)
    page.click('New token …')
    page.until(lambda: page.focused() == 'field-name', 'the form')
    page.fill('Name', name)
    page.js("document.querySelector('[name=scope]').click()")
    page.click('Make token', 'dialog')
    page.until(lambda: page.focused() == 'again-password', 'the question')


def tokens(console):
    return [n for n, in console.sql('SELECT name FROM api_tokens')]


def test_a_password_and_it_goes_on(console, page):
    new_token(console, page, 'first')
    assert tokens(console) == []
    page.problems()  # the 403 that asks
    page.check('reauthentication')
    page.fill('Your password', 'wrong')
    page.click('Go on')
    page.wait_text('The password is wrong.')
    page.fill('Your password', PASSWORD)
    page.click('Go on')
    page.until(lambda: [d for d in page.all('dialog .mono')
                        if d.text.startswith('rcam_')], 'the token')
    assert tokens(console) == ['first']
    page.click('I have kept it')
    page.problems()


def test_closed_it_says_that_nothing_was_done(console, page):
    new_token(console, page, 'second')
    # the question is the last dialog
    page.js("[...document.querySelectorAll('dialog')].at(-1)"
            ".querySelector('header button').click()")
    page.wait_text('show first that it is you')
    assert page.js("return document.querySelector('#field-name').value"
                   ) == 'second'
    page.click('Make token', 'dialog')
    page.until(lambda: page.focused() == 'again-password', 'the question')
    page.fill('Your password', PASSWORD)
    page.click('Go on')
    page.until(lambda: 'second' in tokens(console), 'the token')
    page.problems()


def test_the_question_ends_with_the_login(console, page):
    new_token(console, page, 'third')
    console.sql('DELETE FROM logins')
    page.fill('Your password', PASSWORD)
    page.click('Go on')
    page.until(lambda: page.path.startswith('/login'), 'the login')
    page.until(lambda: not page.all('dialog'), 'a page without a question')
    page.problems()     # 401
    page.login('alice', PASSWORD)
    assert 'third' not in tokens(console)


def test_logins_and_tokens_of_a_person_are_ended(console, page):
    mia = console.login('mia')
    page.open('/people')
    age(console)
    row = page.until(lambda: next((r for r in page.all('tr[data-row]')
                                   if 'mia' in r.text), None), 'mia')
    page.js('arguments[0].click()',
            row.find_element('css selector', '.c-menu button'))
    page.click('End logins and tokens …', '.menu')
    page.click('End logins and tokens', 'dialog')
    page.until(lambda: page.focused() == 'again-password', 'the question')
    page.fill('Your password', PASSWORD)
    page.click('Go on')
    page.wait_text('Logins and tokens were ended.')
    assert mia.get('me').status_code == 401
