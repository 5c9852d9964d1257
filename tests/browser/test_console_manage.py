"""Management pages in Chromium: endpoints, people, API tokens, audit log (X7).
"""
import pytest
import requests

from console_env import PASSWORD
from console_fixtures import cluster, console  # noqa: F401
from page_fixtures import page  # noqa: F401


def menu(page, name):
    """Opens the menu of the row with this in it."""
    row = page.until(lambda: next((r for r in page.all('tr[data-row]')
                                   if name in r.text), None), name)
    page.js('arguments[0].click()', row.find_element('css selector',
                                                     '.c-menu button'))


@pytest.mark.parametrize('ok,detail,said', [
    (True, 'The relay logged in with VeNCrypt X509Vnc; the screen has 1280 x '
     '800 pixels.', 'The endpoint can be connected to.'),
    (False, 'endpoint desk1 (127.0.0.1:5900) cannot be reached: Connection '
     'refused', 'The endpoint cannot be connected to.')])
def test_endpoint_is_tested(console, page, ok, detail, said):
    """A relay's answer comes by itself."""
    console.sql('DELETE FROM endpoint_tests')
    page.open('/endpoints')
    menu(page, 'desk1')
    page.click('Test …', '.menu')
    page.wait_text('The test runs', 'dialog')
    page.until(lambda: console.sql('SELECT count(*) FROM endpoint_tests') ==
               [(1,)], 'the test')
    console.sql('UPDATE endpoint_tests SET ended_at = now(), ok = %s, detail ='
                ' %s', (ok, detail))
    page.wait_text(said, 'dialog')
    assert detail[1:] in page.text('dialog')
    page.check(f'endpoints-test-{"passed" if ok else "failed"}')
    # at once again: too soon
    page.click('Test again', 'dialog')
    page.wait_text('Try again', 'dialog')
    page.problems()     # the browser complains about 429
    page.click('Close', 'dialog footer')
    page.wait_text('Test passed, ' if ok else 'Test failed, ', 'table')


def test_endpoint_is_added_and_enrolled(console, page):
    page.open('/endpoints')
    page.until(page.rows, 'the list')
    page.check('endpoints')
    page.click('Add endpoint …')
    page.until(lambda: page.focused() == 'field-name', 'the form')
    page.fill('Name', 'laptop-7')
    page.fill('Description', 'Reception', 'dialog')
    page.check('endpoints-new')
    page.click('Add endpoint', 'dialog')
    # its token is shown at once, and once
    token = page.until(lambda: next(
        (d.text for d in page.all('dialog .mono') if d.text.startswith(
            'rce_')), None), 'the token')
    assert len(token) == 47
    page.check('endpoints-token')
    page.click('I have kept it')
    page.until(lambda: 'laptop-7' in str(page.rows()), 'the row')
    assert 'Not enrolled' in str(page.rows())
    assert token not in page.js('return document.documentElement.innerHTML')
    assert console.audited('endpoint_add')[0] == 'alice'


def test_endpoint_is_changed_and_removed(console, page):
    page.open('/endpoints')
    menu(page, 'desk1')
    page.click('Edit …', '.menu')
    page.fill('Host', '192.0.2.7')
    page.fill('Ask the person there', 'ask')
    page.check('endpoints-edit')
    page.click('Save', 'dialog')
    page.wait_text('192.0.2.7:5900')
    assert console.sql("SELECT host, consent FROM endpoints WHERE name = "
                       "'desk1'")[0][0] == '192.0.2.7'
    menu(page, 'laptop-7')
    page.click('Remove …', '.menu')
    page.click('Remove', 'dialog')
    page.until(lambda: 'laptop-7' not in str(page.rows()), 'its end')


def test_rights(console, page):
    page.open('/endpoints')
    menu(page, 'desk1')
    page.click('Rights …', '.menu')
    page.until(lambda: page.all('.rights input'), 'the rights')
    page.check('endpoints-rights')
    page.all('.rights input')[0].click()
    page.until(lambda: console.sql(
        'SELECT control, record, manage FROM endpoint_rights') == [
            (True, False, False)], 'the right')
    page.click('Close', 'dialog footer')


def test_people(console, page):
    page.open('/people')
    page.until(lambda: len(page.rows()) == 3, 'the list')
    page.check('people')
    page.click('Add person …')
    page.fill('User name', 'nora')
    page.fill('Full name', 'Nora N.')
    page.fill('Password', 'correct horse')
    page.check('people-new')
    page.click('Add person', 'dialog')
    page.until(lambda: 'nora' in str(page.rows()), 'the row')
    menu(page, 'nora')
    page.click('Edit …', '.menu')
    page.fill('Role', 'admin', 'dialog')
    page.click('Save', 'dialog')
    page.until(lambda: ['nora', 'Nora N.', 'Admin', 'Password', 'Active',
                        'Never logged in']
               in page.rows(), 'the role')
    menu(page, 'nora')
    page.click('Disable …', '.menu')
    page.click('Disable', 'dialog')
    page.until(lambda: 'Disabled' in str(page.rows()), 'the state')
    menu(page, 'nora')
    page.click('Enable', '.menu')
    page.until(lambda: 'Disabled' not in str(page.rows()), 'the state')
    # the last owner stays one: the console says why
    menu(page, 'alice')
    page.click('Edit …', '.menu')
    page.fill('Role', 'member', 'dialog')
    page.click('Save', 'dialog')
    page.until(lambda: page.all('dialog .notice.failed'), 'the refusal')
    page.click('Cancel')
    page.problems()


def test_tokens(console, page):
    page.open('/tokens')
    page.wait_text('No tokens')
    page.check('tokens-none')
    page.click('New token …')
    page.fill('Name', 'report')
    page.click('See sessions', 'dialog')
    page.check('tokens-new')
    page.click('Make token')
    token = page.until(lambda: next(
        (d.text for d in page.all('dialog .mono') if d.text.startswith(
            'rcam_')), None), 'the token')
    page.click('I have kept it')

    def status(path):
        return requests.get(f'{console.url}/api/v1/{path}', headers={
            'Authorization': f'Bearer {token}'}, verify=str(console.cert),
            timeout=30, proxies={'https': None}).status_code
    assert (status('sessions'), status('users')) == (200, 403)
    page.wait_text('report')
    page.check('tokens')
    page.click('Take back report')
    page.click('Take back', 'dialog')
    page.wait_text('No tokens')
    assert status('sessions') == 401
    page.problems()


def test_audit_log(console, page):
    page.open('/audit')
    page.until(page.rows, 'entries')
    page.check('audit')
    page.open('/audit?action=endpoint_add')
    page.until(lambda: len(page.rows()) == 1, 'one entry')
    assert page.rows()[0][1:4] == ['alice', 'endpoint_add', 'laptop-7']
    page.js('arguments[0].click()', page.css('[data-main]'))
    page.wait_text('door', 'dialog')
    page.check('audit-entry')
    page.click('Close', 'dialog footer')
    page.open('/audit?actor=nobody')
    page.wait_text('No entry found')


def test_members_see_what_is_theirs(page):
    page.logout()
    page.login('mia', PASSWORD)
    links = [a.text for a in page.all('.side li a')]
    assert links == ['Connect', 'Sessions', 'Active sessions', 'Recordings',
                     'API tokens']
    for path in ('/endpoints', '/people', '/audit'):
        page.open(path)
        # of endpoints, those that the test before gave the right to
        page.until(lambda: 'You may not do that' in page.text() or
                   page.rows(), path)
    assert not page.all('.actions button')
    page.problems()
