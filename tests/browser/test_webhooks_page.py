"""Management > Settings > Webhooks in Chromium: added with a secret that is
shown once, tested, a failed delivery sent again, switched off, removed; admins
look and change nothing."""
import pytest

from console_env import PASSWORD
from console_fixtures import cluster, started  # noqa: F401
from page_fixtures import page  # noqa: F401
from webhook_receiver import Receiver

SETTINGS = {'console.webhook_retry_seconds': '3600',  # nothing by itself
            'console.provider_seconds': '60'}


@pytest.fixture(scope='module')
def console(tmp_path_factory, cluster):  # noqa: F811
    for c in started(tmp_path_factory.mktemp('console'), cluster):
        c.stop()
        c.settings.update(SETTINGS)
        c.settings['console.provider_ca_file'] = c.cert
        c.start()
        yield c


@pytest.fixture(scope='module')
def receiver(console):
    r = Receiver(console.cert, console.settings['console.tls_key_file'])
    yield r
    r.close()


def test_one_is_added_and_tested(console, page, receiver):  # noqa: F811
    page.open('/settings/webhooks')
    page.wait_text('No webhooks')
    page.check('webhooks-empty')
    page.click('Add webhook …')
    page.until(lambda: page.css('dialog [name=url]'), 'the form').send_keys(
        receiver.url)
    page.js("document.querySelector('dialog [value=\"session.started\"]')"
            '.click()')
    page.check('webhooks-new')
    page.click('Add webhook', 'dialog')
    page.wait_text('whsec_', 'dialog')
    secret = page.text('dialog .value dd .mono')
    page.click('I have kept it', 'dialog')
    page.wait_text(receiver.url, '.webhook h2')
    page.wait_text('Nothing sent yet')
    assert secret not in page.text('body')
    (events,), = console.sql('SELECT events FROM webhooks')
    assert 'session.started' not in events and len(events) == 5
    receiver.answers = [500]
    page.click('Send a test', '.webhook')
    page.wait_text('It answered 500.', '.webhook .files')
    page.wait_text('Waiting', '.webhook .files')
    page.wait_text('1 try', '.webhook .files')
    page.wait_text('Failing', '.webhook')
    page.js("document.querySelector('.webhook .files button').click()")
    page.wait_text('Delivered', '.webhook .files')
    page.wait_text('2 tries', '.webhook .files')
    page.wait_text('Delivers', '.webhook')
    assert len(set(receiver.ids())) == 1
    page.js("document.querySelector('.webhook .files button').click()")
    page.wait_text('Send again', '.webhook .files')
    page.until(lambda: len(receiver.received) >= 3, 'the same once more')
    assert len(set(receiver.ids())) == 1


def test_looks(console, page):  # noqa: F811
    page.open('/settings/webhooks')
    page.until(lambda: page.css('.webhook'), 'the webhook')
    page.click('Deliveries', '.webhook')
    page.wait_text('Delivered', '.webhook .files')
    page.check('webhooks')
    page.screen(320, 700)
    page.settle()
    page.picture('webhooks-320')
    assert page.js('return document.documentElement.scrollWidth') <= 320
    page.screen(1440, 900)


def test_what_is_wrong_is_said(console, page):  # noqa: F811
    page.click('Edit …', '.webhook')
    field = page.until(lambda: page.css('dialog [name=url]'), 'the form')
    field.clear()
    field.send_keys('https://me:secret@localhost/')
    page.click('Save', 'dialog')
    page.wait_text('without a name or password', 'dialog')
    page.click('Cancel', 'dialog')
    page.until(lambda: not page.all('dialog'), 'its end')


def test_switched_off_and_removed(console, page):  # noqa: F811
    page.click('Switch off', '.webhook')
    page.wait_text('Switch on', '.webhook')
    page.until(lambda: page.named('Send a test', '.webhook').get_attribute(
        'disabled'), 'no test')
    assert console.sql('SELECT enabled FROM webhooks') == [(False,)]
    page.picture('webhooks-off')
    page.logout()
    page.login('adam', PASSWORD)
    page.open('/settings/webhooks')
    page.wait_text('Only owners change settings')
    page.wait_text('Off', '.webhook')
    assert page.text('.webhook .actions').split() == ['Deliveries']
    page.logout()
    page.login('alice', PASSWORD)
    page.open('/settings/webhooks')
    page.until(lambda: page.css('.webhook'), 'the webhook')
    page.click('Remove …', '.webhook')
    page.wait_text('It is sent nothing more', 'dialog')
    page.click('Remove', 'dialog')
    page.wait_text('No webhooks')
    assert console.sql('SELECT count(*) FROM webhooks')[0][0] == 0
