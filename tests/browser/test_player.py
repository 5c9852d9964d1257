"""The console's player in Chromium over the real stack: a session of four
recordings with a split by monitor, a recorder gap and another screen size,
of which each picture is known (T6, T10, X1, X2, X3, X5)."""
import json
import os
import random
import re

import conftest
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from player_page import PlayerPage, saving_page
from player_rig import KnownSession, Part

FRAME_MS = 100  # of 10 a second


def busy(first, n, step_ms=250):
    return [(step_ms * i, first + i) for i in range(n)]


@pytest.fixture(scope='module')
def rig(request):
    rig = conftest.make_rig(request).start()
    rig.stack.start_console()
    return rig


@pytest.fixture(scope='module')
def session(rig):
    """Monitor 1, monitor 2, a gap, monitor 1 again, another resolution."""
    return KnownSession(rig, [
        Part(busy(0, 60) + [(40000, 60)], 45000),
        Part(busy(100, 40), 10000, monitor=2, reason='monitor'),
        Part(busy(200, 40), 10000, gap_ms=4321, reason='recorder_restart'),
        Part(busy(300, 60), 15000, reason='resolution', size=(800, 600)),
    ]).store()


@pytest.fixture(scope='module')
def page(rig, tmp_path_factory):
    with saving_page(rig, tmp_path_factory.mktemp('downloads')) as page:
        yield page


@pytest.fixture
def player(page, session):
    page.js('localStorage.clear()')
    page.js('history.replaceState(null, "", location.pathname)')
    return PlayerPage(page).open(session.id)


# --- pictures ------------------------------------------------------------------

def test_a_seek_shows_the_right_picture(player, session):
    """Within one frame, wherever it leads."""
    chance = random.Random(11)
    times = [chance.uniform(0, session.total_ms) for _ in range(12)]
    for ms in times + [0, 44900, 45010, 59400, session.total_ms - 300]:
        part = [p for p in session.parts if p.from_ms <= ms][-1]
        if ms >= part.from_ms + part.end_ms:  # in the gap
            continue
        player.seek(ms)
        size = player.state()['size']
        assert tuple(size) == part.size
        assert player.number() in session.at(ms, FRAME_MS, FRAME_MS), ms


@pytest.mark.parametrize('nth', [1, 3], ids=['monitor', 'resolution'])
def test_splits_do_not_stutter(player, session, nth):
    """The next file is there before this one ends, and no pause is longer than
    100 ms. A processor that is taken away makes either late: of some tries the
    best counts, each with nothing of the next file before it begins."""
    at = session.parts[nth].from_ms
    tries = []
    for _ in range(6):
        # what is behind the split is no longer buffered
        player.seek(0 if nth == 3 else session.parts[3].from_ms + 9000)
        player.seek(at - 2500)
        pause, buffered = player.play_over(at)
        tries.append((round(pause), round(buffered)))
        if pause <= 100 and buffered > 2000:
            break
    else:
        pytest.fail(f'pause, and what is buffered: {tries}')
    if nth == 3:
        assert player.state()['size'] == [800, 600]


def test_plays_to_the_end(player, session):
    player.seek(session.total_ms - 3000)
    player.js("document.querySelector('rc-player').setSpeed(4)")
    player.play()
    state = player.until(lambda s: not s['playing'], 'the end')
    assert abs(state['ms'] - session.total_ms) < 200
    player.play()
    player.until(lambda s: 0 <= s['ms'] < 20000 and s['playing'],
                 'the start again')


# --- the timeline -----------------------------------------------------------------

def test_gaps_are_drawn_to_scale_and_named(player, session):
    part = session.parts[2]
    for left, right in player.spans('.rct-gap'):
        assert abs(left - (part.from_ms - 4321)) < 150
        assert abs(right - part.from_ms) < 150
    assert len(player.spans('.rct-gap')) == 2  # on both monitors
    name, = player.find('.rct-gap-name')
    assert name.text == '4321 ms'
    assert 'the recorder was restarted' in name.get_attribute('aria-label')
    player.seek(part.from_ms - 6000)
    player.play()
    state = player.until(lambda s: '4321 ms' in s['notice'], 'the notice')
    assert 'the recorder was restarted' in state['notice']
    player.until(lambda s: s['ms'] > part.from_ms and not s['notice'],
                 'what is behind the gap')


def test_recordings_stand_on_the_lanes_of_their_monitors(player, session):
    assert player.js("return [...document.querySelectorAll('.rct-lane')]"
                     ".map(e => e.dataset.monitor)") == ['1', '2']
    (left, right), = player.spans('.rct-lane[data-monitor="2"] .rct-recording')
    assert abs(left - 45000) < 150 and abs(right - 55000) < 150
    table = player.js('''
document.querySelector('.rcp-table').open = true;
return document.querySelector('.rcp-table').innerText;''')
    assert '4321 ms' in table and 'the recorder was restarted' in table
    assert 'the screen got another size' in table


def test_hovering_shows_the_frame_of_a_place_that_was_not_played(player,
                                                                 session):
    """Of each recording of the session, also of another size."""
    before = player.state()['ms']
    last = session.parts[3]
    for part, at in ((session.parts[0], 9_300), (session.parts[0], 44_000),
                     (last, 5_000), (last, 0)):
        ms = part.from_ms + at
        assert player.hover_number(ms, part.size) in session.at(ms, 60, 60), ms
    state = player.state()
    assert state['ms'] == before and not player.page.problems()
    # no frame where nothing was recorded
    gap = session.parts[2].from_ms - 2_000
    player.hover(gap)
    player.page.until(lambda: 'Gap of 4321 ms' in player.page.text(
        '.rct-tip'), 'the gap')
    assert not player.find('.rct-tip img')


def test_a_click_leads_there(player):
    track = player.find('.rct-track')[0]
    ActionChains(player.page.driver).move_to_element(track).click().perform()
    state = player.state()
    player.settled(state['total'] / 2, 400)


def test_hovering_shows_time_and_picture_and_escape_takes_it_away(player):
    track = player.find('.rct-track')[0]
    ActionChains(player.page.driver).move_to_element_with_offset(
        track, -300, -20).perform()
    tip = player.find('.rct-tip')[0]
    assert tip.is_displayed() and ':' in tip.text
    player.page.until(lambda: player.js('''
const i = document.querySelector('.rct-tip img');
return i && i.complete && i.naturalWidth > 0'''), 'the picture')
    ActionChains(player.page.driver).send_keys(Keys.ESCAPE).perform()
    assert not tip.is_displayed()


def test_quiet_times_are_skipped_and_said(player):
    player.keys('i')
    player.page.until(lambda: player.spans('.rct-idle'), 'quiet times')
    player.seek(14000)
    player.play()
    player.until(lambda s: s['ms'] > 38500, 'what is behind the quiet time',
                 timeout_s=20)
    player.pause()
    assert 'saved 0:2' in player.page.text('.rcp-idle')


# --- keys -------------------------------------------------------------------------

def test_keys(player, session):
    player.seek(20000)
    for keys, ms in ((['l'], 30000), (['j'], 20000), ([Keys.ARROW_RIGHT], 25000),
                     ([Keys.ARROW_LEFT], 20000), (['5'], session.total_ms / 2),
                     (['0'], 0)):
        player.keys(*keys)
        player.settled(ms, 150)
    player.shifted(Keys.ARROW_DOWN)
    player.settled(45000, 150)
    player.shifted(Keys.PAGE_DOWN)
    player.until(lambda s: '4321 ms' in s['notice'], 'the gap')
    player.shifted(Keys.ARROW_UP)
    player.settled(45000, 150)
    player.keys('>')
    assert player.state()['rate'] == 1.25
    player.keys('<')
    player.keys('k')
    player.until(lambda s: s['playing'], 'playing')
    player.keys(' ')
    player.until(lambda s: not s['playing'], 'a pause')


def test_keys_that_jump_and_are_remembered(page, player, session):
    part = session.parts[0]
    player.seek(16_000)     # a quiet time, up to 40 s
    player.shifted(Keys.ARROW_RIGHT)
    state = player.until(lambda s: s['ms'] > 35_000, 'the next change')
    assert abs(state['ms'] - part.events[-1][0]) < 1500
    player.shifted(Keys.ARROW_LEFT)
    player.until(lambda s: s['ms'] < state['ms'], 'the change before')
    player.keys(Keys.END)
    player.settled(session.total_ms, 150)
    player.shifted(Keys.PAGE_UP)
    player.until(lambda s: '4321 ms' in s['notice'], 'the gap before')
    player.keys(Keys.HOME)
    player.settled(0, 150)
    player.keys('a')
    page.until(lambda: re.match(r'\d{4}-\d\d-\d\d ', page.text('.rcp-clock')),
               'wall-clock time')
    for _ in range(12):
        player.keys('>')
    assert player.state()['rate'] == 16
    player = PlayerPage(page).open(session.id)
    assert player.state()['rate'] == 16
    assert re.match(r'\d{4}-\d\d-\d\d ', page.text('.rcp-clock'))
    for _ in range(13):
        player.keys('<')
    assert player.state()['rate'] == 0.25


def test_every_control_by_keyboard(player):
    player.page.tab_through()
    assert not player.page.problems()


def test_one_frame_on_and_back(player):
    player.seek(5000)
    first = player.number()
    seen = []
    for key in '....,,,,':
        before = player.state()['ms']
        player.keys(key)
        player.until(lambda s: not s['seeking'] and s['ms'] != before,
                     'the next frame')
        seen.append(player.number())
    assert seen[0] in (first, first + 1)
    assert [b - a for a, b in zip([first] + seen, seen)][:4].count(1) >= 1
    assert seen[3] > first and seen[-1] <= first


def test_no_key_while_somebody_types(player):
    player.seek(10000)
    player.keys('g')
    field, = player.find('.rcp-dialog input')
    field.send_keys('jjj')
    assert abs(player.state()['ms'] - 10000) < 60
    field.send_keys(Keys.CONTROL, 'a')
    field.send_keys('0:12', Keys.ENTER)
    player.settled(12000, 100)


def test_keys_of_one_letter_can_be_switched_off(player):
    player.keys('?')
    box, = player.find('.rcp-help input')
    box.click()
    player.keys(Keys.ESCAPE)
    player.page.until(lambda: not player.find('.rcp-dialog'), 'no dialog')
    player.seek(20000)
    player.keys('l')
    assert abs(player.state()['ms'] - 20000) < 60
    player.keys(Keys.ARROW_RIGHT)
    player.settled(25000, 100)


# --- links, stills, notes -------------------------------------------------------------

def test_deep_links(page, session):
    """Quiet times of what somebody shared are not left out, whatever was
    chosen before; the choice stays."""
    page.js("localStorage.setItem('relaycam-player-idle', 'on')")
    player = PlayerPage(page).open(session.id, '#t=60.5')
    player.settled(60500, 100)
    assert player.number() in session.at(60500, FRAME_MS, FRAME_MS)
    at = player.js("return new Date(document.querySelector('rc-player')"
                   ".playback.model.wallMs(7000)).toISOString()")
    player.js('location.hash = arguments[0]', f'#at={at}')
    player.settled(7000, 100)
    skips = "return document.querySelector('rc-player').playback.skipsIdle"
    assert player.js(skips) is False
    assert PlayerPage(page).open(session.id).js(skips) is True
    page.js('localStorage.clear()')


def test_a_still_is_the_picture(player, session):
    from player_rig import number_in
    player.seek(8000)
    shown = player.number()
    player.keys('s')
    path = player.page.until(
        lambda: [p for p in player.page.downloads.glob('*.png')], 'the file')[0]
    assert path.name.startswith('desk1_20') and path.name.endswith('Z.png')
    assert number_in(path.read_bytes()) == shown
    path.unlink()


def test_a_still_shows_where_a_seek_leads(player, session):
    """Not the picture before, however soon the key is pressed."""
    from player_rig import number_in
    player.seek(500)
    for ms in (12000, 900, 44000, 43000, 2100):
        player.js('''
const p = document.querySelector('rc-player');
p.seek(arguments[0]);
p.run({does: 'still'});''', ms)
        path = player.page.until(
            lambda: [p for p in player.page.downloads.glob('*.png')],
            'the file')[0]
        assert number_in(path.read_bytes()) in session.at(
            ms, FRAME_MS, FRAME_MS), ms
        path.unlink()


def test_notes_stand_on_the_timeline(player, rig):
    player.seek(9000)
    player.keys('n')
    field, = player.find('.rcp-dialog textarea')
    field.send_keys('seen "here"')
    player.find('.rcp-dialog .rcp-primary')[0].click()
    note = player.page.until(lambda: player.find('.rct-note'), 'the note')[0]
    assert 'seen "here"' in note.get_attribute('aria-label')
    player.seek(30000)
    note.click()
    player.settled(9000, 100)
    assert [['seen "here"', 'alice']] == rig.stack.sql(
        'SELECT text, author FROM recording_notes')


def copied(player):
    """Into the clipboard, or, where the browser does not allow it, into a
    dialog."""
    player.page.until(lambda: player.find('.rcp-dialog') or
                      'copied' in player.state()['notice'], 'an answer')
    player.keys(Keys.ESCAPE)
    player.page.until(lambda: not player.find('.rcp-dialog'), 'no dialog')
    player.js("document.querySelector('rc-player').say('')")


def test_a_link_is_copied_and_a_file_saved(player, session):
    player.seek(50000)
    player.page.click('Copy a link to this time')
    copied(player)
    player.page.click('Copy a link to this file that works without a login '
                      'until it expires')
    copied(player)
    player.page.click('Download this file')
    path = player.page.until(
        lambda: [p for p in player.page.downloads.glob('*.webm')],
        'the file')[0]
    with open(session.path(session.parts[1]), 'rb') as f:
        assert path.read_bytes() == f.read()
    path.unlink()


# --- evidence --------------------------------------------------------------------------

def test_what_plays_is_checked(player, session):
    player.seek(1000)
    state = player.until(lambda s: s['checked'] == 'good', 'green')
    assert 'as they were recorded and signed' in state['check']
    assert player.spans('.rct-good') and not player.spans('.rct-bad')


def flip(path, at):
    with open(path, 'r+b') as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))


def test_a_changed_byte_turns_red(page, session):
    part = session.parts[1]
    path = session.path(part)
    at = os.path.getsize(path) // 2
    flip(path, at)
    try:
        player = PlayerPage(page).open(session.id, '#t=30')
        player.play()
        player.js("document.querySelector('rc-player').setSpeed(4)")
        state = player.until(lambda s: s['checked'] == 'bad', 'red')
        assert state['check'].startswith('File 2 was changed')
        first, last = map(int, state['check'].split('bytes ')[1].split(
            ',')[0].split(' to '))
        assert first <= at <= last
        # the cluster, not its block, which is all of this file's clusters
        clusters = [int(n) for block in part.manifest['evidence']['clusters'][
            'blocks'] for n in block.split()[::2]]
        assert len(clusters) > 5 and last - first + 1 in clusters
        (left, right), = player.spans('.rct-bad')
        assert left >= 44900 and right <= 55100 and right - left < 2500
        times = [60 * int(m) + float(s) for m, s in re.findall(
            r'(\d+):(\d\d\.\d{3})', state['check'])]
        assert 45 <= times[0] < times[1] <= times[0] + 2.5 <= 57.5
        # what follows still plays
        player.pause()
        player.seek(session.parts[3].from_ms + 2000)
        assert player.number() in session.at(
            session.parts[3].from_ms + 2000, FRAME_MS, FRAME_MS)
    finally:
        flip(path, at)
        page.js('localStorage.clear()')


def test_a_changed_manifest_turns_red(page, session):
    path = session.path(session.parts[0]).replace('.webm', '.json')
    with open(path, encoding='utf-8') as f:
        good = f.read()
    changed = json.loads(good)
    changed['technician'] = 'mallory'
    try:
        with open(path, 'w', encoding='utf-8') as f:
            json.dump(changed, f)
        player = PlayerPage(page).open(session.id)
        state = player.until(lambda s: s['checked'] == 'bad', 'red')
        assert 'File 1: The signature of this recording is wrong' in \
            state['check']
    finally:
        with open(path, 'w', encoding='utf-8') as f:
            f.write(good)


# --- judging -------------------------------------------------------------------------------

def test_no_violation_no_shift_no_error(player):
    player.seek(3000)
    player.until(lambda s: s['checked'] == 'good', 'green')
    player.page.check('player')
