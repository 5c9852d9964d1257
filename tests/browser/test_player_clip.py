"""Clips in the console's player, in Chromium over the real stack: marks by keys
and buttons, the dialog, what is saved, and that it is right at both ends (M5,
X3, T10)."""
import json
import os
import pathlib
import subprocess

import conftest
import pytest
from selenium.webdriver.common.keys import Keys

import media
from ctl import CTL
from player_page import PlayerPage, saving_page
from player_rig import KnownSession, Part, number_in
from test_recording_plays import play, site  # noqa: F401

SPLIT_MS = 45000


@pytest.fixture(scope='module')
def rig(request):
    rig = conftest.make_rig(request).start()
    rig.stack.start_console()
    return rig


@pytest.fixture(scope='module')
def session(rig):
    """A number four times a second for 45 s, and the next file for 20 s."""
    return KnownSession(rig, [
        Part([(250 * i, i) for i in range(180)], SPLIT_MS),
        Part([(250 * i, 300 + i) for i in range(80)], 20000),
    ]).store()


@pytest.fixture(scope='module')
def page(rig, tmp_path_factory):
    with saving_page(rig, tmp_path_factory.mktemp('downloads')) as page:
        yield page


@pytest.fixture
def player(page, session):
    page.js('localStorage.clear()')
    for path in page.downloads.iterdir():
        path.unlink()
    return PlayerPage(page).open(session.id)


def line(player):
    return player.js("const l = document.querySelector('.rcp-clip');"
                     "return l.hidden ? '' : l.textContent")


def is_whole(clip):
    """A download has its name before it has its bytes."""
    try:
        manifest = json.loads(clip.with_suffix('.json').read_text())
    except (OSError, ValueError):
        return False
    return clip.stat().st_size == manifest['bytes']


def saved(player, n):
    """n clips, each with its manifest: [(path, manifest's path)]."""
    folder = player.page.downloads

    def found():
        clips = sorted(folder.glob('*.webm'))
        return len(clips) == n and all(map(is_whole, clips)) and clips
    clips = player.page.until(found, f'{n} clips and manifests')
    return [(p, p.with_suffix('.json')) for p in clips]


def dialog(player):
    return player.page.until(lambda: player.find('.rcp-clip-dialog'),
                             'the dialog')[0]


def make(player, reason):
    box = dialog(player)
    player.page.until(lambda: 'the key frame at' in player.find(
        '.rcp-clip-what')[0].text, 'where it begins')
    player.find('#rcp-clip-reason')[0].send_keys(reason)
    player.find('.rcp-clip-dialog .rcp-primary')[0].click()
    player.page.until(lambda: player.find('.rcp-clip-made li'), 'the clips')
    return box


def manifest_of(rig, session, n):
    path = session.path(session.parts[n])
    return path[:-5] + '.json'


def verify(rig, clip, original, tmp_path):
    keys = tmp_path / 'keys'
    keys.write_text(rig.stack.ctl('evidence-key', 'export'))
    r = subprocess.run([CTL, 'verify', '--json', '--key', str(keys), str(clip),
                        '--original', original], capture_output=True,
                       text=True, timeout=120)
    f, = json.loads(r.stdout)['files']
    return f


def number_at(path, *args):
    """The number in one picture, as ffmpeg decodes it."""
    r = media.run(['ffmpeg', '-v', 'error', '-i', path, *args, '-frames:v',
                   '1', '-f', 'image2pipe', '-c:v', 'png', '-'])
    return number_in(r.stdout)


def check_ends(path, manifest, session, part):
    """The picture at each end is what the desktop showed then."""
    at = session.parts[part].from_ms
    first, last = manifest['from_ms'] + at, manifest['to_ms'] + at
    times = media.frame_times(path)
    assert number_at(path) in session.at(first + 1, 100, 100)
    n = len(times) - 1
    assert number_at(path, '-vf', f'select=eq(n\\,{n})', '-vsync',
                     'passthrough') in session.at(last - 1, 100, 100)
    return first, last


def test_keys_make_a_clip_that_is_right(player, rig, session, site,  # noqa: F811
                                        tmp_path, page):
    player.seek(14300)
    player.keys('[')
    assert 'from 0:14.3' in line(player)
    player.seek(21200)
    player.keys(']')
    (left, right), = player.spans('.rct-clip')
    assert abs(left - 14300) < 200 and abs(right - 21200) < 200
    player.keys('c')
    make(player, 'complaint 4711')
    shown = player.find('.rcp-clip-made li')[0].text
    (path, beside), = saved(player, 1)
    m = json.loads(beside.read_text())
    assert (m['person'], m['reason']) == ('alice', 'complaint 4711')
    assert abs(m['asked_from_ms'] - 14300) <= 60
    first, last = check_ends(path, m, session, 0)
    assert 4000 <= first <= 14300 and 21140 <= last <= 23300
    assert f'0:{first / 1000:06.3f}' in shown
    f = verify(rig, path, manifest_of(rig, session, 0), tmp_path)
    assert f['result'] == 'good', f
    audit, = rig.stack.sql("SELECT actor, detail->>'reason' FROM audit WHERE "
                           "action = 'clip' AND object = "
                           f"'{session.parts[0].id}'")
    assert audit == ['alice', 'complaint 4711']
    player.keys(Keys.ESCAPE)
    page.driver.get('about:blank')
    os.link(path, os.path.join(site[0], 'clip.webm'))
    out = play(page.driver, site, site[1] + '/clip.webm')
    assert abs(out['duration'] * 1000 - (last - first)) <= 1
    assert abs(out['at'] - out['duration']) < 0.2


def test_a_range_over_a_split_is_a_clip_per_file(player, rig, session,
                                                 tmp_path):
    player.seek(SPLIT_MS - 2000)
    player.page.click('A clip begins here')
    player.seek(SPLIT_MS + 3000)
    player.page.click('A clip ends here')
    player.page.click('Make a clip')
    assert '2 files' in player.page.until(
        lambda: player.find('.rcp-clip-what')[0].text, 'what it will be')
    make(player, 'both')
    assert len(player.find('.rcp-clip-made li')) == 2
    for n, (path, beside) in enumerate(sorted(
            saved(player, 2), key=lambda p: json.loads(
                p[1].read_text())['original']['segment'] !=
            session.parts[0].id)):
        check_ends(path, json.loads(beside.read_text()), session, n)
        f = verify(rig, path, manifest_of(rig, session, n), tmp_path)
        assert f['result'] == 'good', f
        other = verify(rig, path, manifest_of(rig, session, 1 - n), tmp_path)
        assert other['result'] == 'other_original'


def test_marks_and_what_is_missing(player):
    player.seek(10000)
    player.keys('c')
    assert 'Mark where' in player.state()['notice']
    player.keys(']')
    assert 'mark its beginning' in line(player)
    assert not player.find('.rcp-clip .rcp-primary')[0].is_displayed()
    player.seek(20000)
    player.keys('[')  # behind the end: that goes
    assert 'from 0:20' in line(player) and 'mark its end' in line(player)
    player.page.click('Clear marks')
    assert line(player) == ''
    assert player.js("return document.querySelector('.rct-clip').hidden")
    assert player.js("return document.activeElement.getAttribute('role')") \
        == 'slider'


def fill(player, selector, text):
    field, = player.find(selector)
    field.send_keys(Keys.CONTROL, 'a')
    field.send_keys(text)


def test_the_dialog_says_what_is_wrong(player, page, session, rig):
    player.seek(5000)
    player.keys('[')
    player.seek(9000)
    player.keys(']', 'c')
    dialog(player)
    button, = player.find('.rcp-clip-dialog .rcp-primary')
    button.click()
    problem, = player.find('.rcp-clip-problem')
    assert 'what the clip is for' in problem.text
    assert problem.get_attribute('role') == 'alert'
    fill(player, '#rcp-clip-to', '0:04')
    assert 'first before the second' in problem.text
    assert not button.is_enabled()
    fill(player, '#rcp-clip-to', '0:12.5')
    assert button.is_enabled()
    assert 'to 0:12.500' in line(player)
    # the store lost the file meanwhile: said here, and it may be tried again
    path = session.path(session.parts[0])
    os.rename(path, path + '.away')
    try:
        fill(player, '#rcp-clip-reason', 'x')
        button.click()
        player.page.until(lambda: 'not in the store' in problem.text,
                          'the reason')
    finally:
        os.rename(path + '.away', path)
    assert button.text == 'Try again'
    button.click()
    player.page.until(lambda: player.find('.rcp-clip-made li'), 'the clip')
    saved(player, 1)


def test_dialog_and_marks_are_accessible_everywhere(player, page):
    """axe, light and dark, on a desktop and a phone; nothing moves."""
    player.seek(12000)
    player.keys('[')
    player.seek(31000)
    player.keys(']')
    page.problems()
    page.check('player-clip-marks')
    player.keys('c')
    dialog(player)
    player.page.until(lambda: 'the key frame at' in player.find(
        '.rcp-clip-what')[0].text, 'where it begins')
    page.check('player-clip-dialog')
    make(player, 'looked at')
    page.check('player-clip-made')
    saved(player, 1)


def test_the_command_line_makes_one_too(rig, session, tmp_path):
    recording = session.parts[0].id
    path = pathlib.Path(rig.stack.path('tmp', 'clip.webm'))  # it may write here
    args = ['recordings', 'clip', recording, '--from', '0:14.3', '--to',
            '21.5', '--output', str(path), '--ca', rig.stack.path('ca.pem')]
    told = json.loads(rig.stack.ctl(*args, '--reason', 'by hand', '--json'))
    m = json.loads(path.with_suffix('.json').read_text())
    assert (told['from_ms'], told['to_ms']) == (m['from_ms'], m['to_ms'])
    assert (m['asked_from_ms'], m['asked_to_ms']) == (14300, 21500)
    assert 'relaycam@' in m['person'] and m['reason'] == 'by hand'
    check_ends(path, m, session, 0)
    f = verify(rig, path, manifest_of(rig, session, 0), tmp_path)
    assert f['result'] == 'good', f
    assert rig.stack.sql(
        "SELECT detail->>'reason' FROM audit WHERE action = 'clip' AND actor "
        "LIKE 'relaycam@%'") == [['by hand']]
    for changed, why in (({'--to': '14'}, 'behind --from'),
                         ({'--from': 'x'}, 'position'),
                         ({'--output': str(path)}, 'there already'),
                         ({'--from': '50', '--to': '60'}, 'ends at')):
        other = [changed.get(args[i - 1], a) for i, a in enumerate(args)]
        if '--output' not in changed:
            other[other.index(str(path))] = str(path.with_name('none.webm'))
        with pytest.raises(Exception, match=why):
            rig.stack.ctl(*other, '--reason', 'x')
    assert not list(path.parent.glob('none.*'))
