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


def test_a_client_certificate_is_replaced_by_an_id_alone(console, page):  # noqa: F811
    """It cannot be emptied without a word: the form says what takes its place."""
    made = console.login('alice').post('endpoints', json={
        'name': 'dialin', 'kind': 'reverse', 'client_cert_sha256': PIN})
    assert made.status_code == 201, made.text
    edit(page, 'dialin')
    page.wait_text('take “New ID” from the menu', 'dialog')
    page.fill('SHA-256 of its client certificate', '', 'dialog')
    page.css('dialog summary').click()  # closed, it opens where it is wrong
    page.click('Save', 'dialog')
    field = page.until(lambda: page.named(
        'SHA-256 of its client certificate', 'dialog'), 'the field')
    page.until(lambda: page.js(
        'return document.activeElement === arguments[0]', field), 'its focus')
    assert page.js('return arguments[0].validity.valueMissing', field)
    page.click('Cancel', 'dialog')
    stay = stored(console, 'dialin')
    assert stay['reverse_cert_sha256'] == '\\x' + PIN.lower()
    page.until(lambda: not page.all('dialog'), 'the end of the dialog')
    page.click('Actions for dialin')
    page.click('New ID', '.menu')
    page.wait_text('Earlier IDs are void', 'dialog')
    page.click('I have kept it')
    now = stored(console, 'dialin')
    assert now['reverse_cert_sha256'] is None
    assert now['reverse_secret_sha256'] is not None
    edit(page, 'dialin')    # it can be given again, and need not
    page.css('dialog summary').click()
    field = page.named('SHA-256 of its client certificate', 'dialog')
    assert not field.get_attribute('required')
    page.click('Cancel', 'dialog')
    page.until(lambda: not page.all('dialog'), 'the end of the dialog')
    assert not page.problems()


def test_an_unused_token_is_taken_back(console, page):  # noqa: F811
    page.open('/endpoints')
    page.click('Actions for kiosk')
    page.click('Unused token …', '.menu')
    page.wait_text('Made by alice', 'dialog')
    page.check('endpoint-token-unused')
    page.js("document.querySelector('dialog .files button').click()")
    page.wait_text('There is none', 'dialog')
    assert console.sql('SELECT count(*) FROM enrol_tokens')[0][0] == 0
