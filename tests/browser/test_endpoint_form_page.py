"""All that the API sets of an endpoint is in its form: settings that hold, who
records (C7), certificates; only what differs is sent. An unused token can be
taken back."""
import subprocess

from console_fixtures import cluster, console  # noqa: F401
from page_fixtures import page  # noqa: F401

PIN = 'AB' * 32


def edit(page, name):  # noqa: F811
    page.open('/endpoints')
    row = page.until(lambda: next(
        (b for b in page.all('tr[data-row] [data-main]') if b.text == name),
        None), name)
    row.click()
    return page.until(lambda: page.all('dialog form'), 'the form')


def stored(console, name):
    (found,), = console.sql('SELECT to_jsonb(e) FROM endpoints e WHERE '
                            'name = %s', (name,))
    return found


def saved(page):  # noqa: F811
    page.click('Save', 'dialog')
    page.until(lambda: not page.all('dialog'), 'the end of the dialog')


def test_who_records_and_which_settings_hold(console, page):  # noqa: F811
    page.open('/endpoints')
    page.click('Add endpoint …')
    page.until(lambda: page.all('dialog form'), 'the form')
    page.fill('Name', 'kiosk')
    page.fill('Recorded by', 'both', 'dialog')
    page.click('Add endpoint', 'dialog')
    page.wait_text('rce_', 'dialog')
    page.click('I have kept it')
    assert stored(console, 'kiosk')['capture'] == 'both'
    edit(page, 'kiosk')
    page.fill('Recorded by', 'device', 'dialog')
    page.fill('Settings that hold', 'attended', 'dialog')
    page.check('endpoint-form')
    saved(page)
    now = stored(console, 'kiosk')
    assert (now['capture'], now['access']) == ('device', 'attended')
    # desk1 is dialled: its server records nothing
    edit(page, 'desk1')
    assert 'Recorded by' not in page.text('dialog')
    page.click('Cancel', 'dialog')


def test_certificates(console, page, tmp_path):  # noqa: F811
    before = stored(console, 'kiosk')
    edit(page, 'kiosk')
    page.css('dialog summary').click()
    page.fill('Name in its certificate', 'kiosk.example', 'dialog')
    page.fill('SHA-256 of its certificate', PIN, 'dialog')
    ca = subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null', '-subj',
         '/CN=ca', '-days', '1'], capture_output=True, text=True, check=True,
        timeout=60).stdout
    page.js("document.querySelector('dialog [name=ca_pem]').value = "
            'arguments[0]', ca)
    page.check('endpoint-form-certificates')
    saved(page)
    now = stored(console, 'kiosk')
    assert now['tls_name'] == 'kiosk.example'
    assert now['tls_pin_sha256'] == '\\x' + PIN.lower()
    assert now['tls_ca_pem'].strip() == ca.strip()
    assert now['capture'] == before['capture']  # others stay
    edit(page, 'kiosk')  # open, because something is set
    page.fill('Name in its certificate', '', 'dialog')
    page.click('Take the stored ones away', 'dialog')
    # what the server refuses is said
    page.click('Connect without encryption where it offers none', 'dialog')
    page.click('Save', 'dialog')
    page.wait_text('Without TLS no certificate is checked', 'dialog')
    page.fill('SHA-256 of its certificate', '', 'dialog')
    saved(page)
    now = stored(console, 'kiosk')
    assert (now['tls_name'], now['tls_ca_pem'], now['tls_pin_sha256'],
            now['allow_clear']) == (None, None, None, True)
    assert len(page.problems()) == 1  # the browser's line of that answer


def test_an_unused_token_is_taken_back(console, page):  # noqa: F811
    page.open('/endpoints')
    page.click('Actions for kiosk')
    page.click('Unused token …', '.menu')
    page.wait_text('Made by alice', 'dialog')
    page.check('endpoint-token-unused')
    page.js("document.querySelector('dialog .files button').click()")
    page.wait_text('There is none', 'dialog')
    assert console.sql('SELECT count(*) FROM enrol_tokens')[0][0] == 0
