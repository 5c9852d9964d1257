"""Management > Settings in Chromium (T2, T3): each setting says what follows
from it, a change is there at once and in the audit log, and only owners make
one."""
import pytest

from console_env import PASSWORD
from console_fixtures import cluster, console  # noqa: F401
from console_page import ConsolePage


@pytest.fixture(scope='module')
def page(console):
    page = ConsolePage(console.url)
    page.login('alice', PASSWORD)
    page.open('/settings')
    page.wait_text('Attended access')
    yield page
    page.close()


def value(console, access, name):
    (found,), = console.sql(
        f'SELECT {name} FROM access_settings a JOIN teams t ON t.id = '
        "a.team_id WHERE t.name = 'demo' AND access = %s", (access,))
    return found


def test_looks(page):
    page.check('settings')


def test_recording_is_switched_on_for_each_access(console, page):
    assert value(console, 'unattended', 'recording') is False
    switch = page.css('#unattended-recording')
    assert switch.get_attribute('aria-checked') == 'false'
    page.js('arguments[0].focus()', switch)
    page.keys(' ')
    page.wait_text('Every session is recorded from the first picture')
    page.wait_text('It holds for sessions that start from now on')
    assert switch.get_attribute('aria-checked') == 'true'
    assert value(console, 'unattended', 'recording') is True
    assert value(console, 'attended', 'recording') is False
    assert console.audited('settings_set')[0] == 'alice'


def test_each_kind_of_field(console, page):
    page.js('''
const e = document.getElementById('attended-playback_role');
e.value = 'member';
e.dispatchEvent(new Event('change', {bubbles: true}))''')
    page.wait_text('Members too, for endpoints that they may control.')
    assert value(console, 'attended', 'playback_role') == 'member'
    field = page.css('#unattended-segment_bytes')
    assert field.get_attribute('value') == '512'
    field.clear()
    field.send_keys('64\t')
    page.wait_text('goes on in a new file after 64 MiB')
    assert value(console, 'unattended', 'segment_bytes') == 64 << 20
    page.until(lambda: page.css('#zone'), 'zones')
    page.js('''
const e = document.getElementById('zone');
e.value = 'Europe/Berlin';
e.dispatchEvent(new Event('change', {bubbles: true}))''')
    page.until(lambda: console.sql(
        "SELECT time_zone FROM teams WHERE name = 'demo'")[0][0] ==
        'Europe/Berlin', 'the zone')
    # times follow
    page.open('/sessions')
    page.wait_text('Europe/Berlin')


def test_value_out_of_range_is_not_sent(console, page):
    page.open('/settings')
    page.until(lambda: page.css('#unattended-frame_rate'), 'the settings')
    field = page.css('#unattended-frame_rate')
    field.clear()
    field.send_keys('99\t')
    assert page.js('return arguments[0].validity.rangeOverflow', field)
    assert value(console, 'unattended', 'frame_rate') == 10
    page.problems()


def test_shorter_retention_says_what_it_deletes(console, page):
    """T12: before the change, with a way back."""
    session = console.ctl.session()
    recording = console.ctl.segment(session, 1, size=3 << 20)
    console.sql(
        "UPDATE segments SET ended_at = now() - interval '40 days', stored_at "
        "= now() - interval '40 days', expires_at = now() + interval '50 "
        "days' WHERE id = %s", (recording,))
    page.open('/settings')
    page.until(lambda: page.css('#unattended-retention_days'), 'the settings')

    def set_days():
        field = page.css('#unattended-retention_days')
        field.clear()
        field.send_keys('30\t')
        page.wait_text('1 recording (3.0 MiB) will be deleted earlier than now')

    set_days()
    page.check('settings-retention')
    page.js("document.querySelector('dialog footer button').click()")
    page.until(lambda: page.css('#unattended-retention_days').get_attribute(
        'value') == '90', 'the old number')
    assert value(console, 'unattended', 'retention_days') == 90
    set_days()
    page.js("document.querySelector('dialog button.danger').click()")
    page.until(lambda: value(console, 'unattended', 'retention_days') == 30,
               'the change')


def test_admins_look_members_do_not(page):
    page.logout()
    page.login('adam', PASSWORD)
    page.open('/settings')
    page.wait_text('Only owners change settings')
    page.until(lambda: page.css('#unattended-recording').get_attribute(
        'disabled'), 'settings that cannot be changed')
    page.check('settings-admin')
    page.logout()
    page.login('mia', PASSWORD)
    assert page.all('.side a[href="/settings"]') == []
    page.open('/settings')
    page.wait_text('You may not do that')
    page.problems()
