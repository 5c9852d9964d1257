"""A stranger can read what a downloaded recording is: title and tags of the
file, its name, and WebVTT beside it (T7, T10, X2, X5)."""
import re
import subprocess

import pytest

from console_fixtures import cluster, console_with_people  # noqa: F401


@pytest.fixture(scope='module', name='parts')
def two_parts(console):
    """Two files with a gap of 1.5 s between them; the first one was idle but
    for seconds 3 and 4, and 40."""
    console.sql("UPDATE teams SET time_zone = 'Europe/Berlin' WHERE name = "
                "'demo'")
    session = console.ctl.session()
    one = console.ctl.segment(session, 1)
    two = console.ctl.segment(session, 2)
    activity = bytearray(60 * 4)
    activity[12:20] = bytes([0, 250, 0, 3, 3, 231, 1, 0])
    activity[160:164] = bytes([0, 0, 0, 7])
    console.sql(
        "UPDATE segments SET activity = %s, start_mono_ns = 0, end_mono_ns = "
        "60000000000, end_why = 'crash' WHERE id = %s",
        (bytes(activity), one))
    console.sql(
        "UPDATE segments SET start_mono_ns = 61500000000, end_mono_ns = "
        "121500000000, split_reason = 'recorder_restart', first_frame = 11, "
        "last_frame = 20, end_why = 'endpoint' WHERE id = %s", (two,))
    return session, one, two


def cues(text):
    """By time, as a player reads them."""
    head, *blocks = text.split('\n\n')
    assert head == 'WEBVTT'
    found = []
    for block in blocks:
        time, line = block.strip().split('\n')
        assert re.fullmatch(r'(\d\d:\d\d:\d\d\.\d{3}) --> '
                            r'(\d\d:\d\d:\d\d\.\d{3})', time), time
        found.append((time, line))
    assert found == sorted(found, key=lambda c: c[0][:12])
    return found


def test_captions(console, parts):
    session, one, two = parts
    r = console.people['alice'].get(f'recordings/{one}/captions')
    assert r.status_code == 200, r.text
    assert r.headers['Content-Type'] == 'text/vtt; charset=utf-8'
    assert r.headers['Content-Disposition'].endswith('.vtt"')
    first, busy, late, end, after = cues(r.text)
    assert first == (
        '00:00:00.000 --> 00:00:05.000',
        'desk1, recorded 2026-11-20 09:01:00 Europe/Berlin (2026-11-20 '
        f'08:01:00 UTC). Technician alice, monitor 1, file 1 of session '
        f'{session}. Begun because: the session began.')
    assert busy == (
        '00:00:03.000 --> 00:00:05.000',
        'Activity: up to 100 % of the screen changed, 259 key and pointer '
        'events.')
    assert late == (
        '00:00:40.000 --> 00:00:41.000',
        'Activity: up to 0 % of the screen changed, 7 key and pointer '
        'events.')
    assert end == ('00:00:55.000 --> 00:01:00.000',
                   'Ends here: the recorder was lost.')
    assert after == ('00:00:55.000 --> 00:01:00.000',
                     'Nothing was recorded for 1500 ms after this: another '
                     'recorder took over.')
    before = cues(console.people['alice'].get(
        f'recordings/{two}/captions').text)[1]
    assert before[1] == ('Nothing was recorded for 1500 ms before this: '
                         'another recorder took over.')
    who, what, _ = console.audit('captions')[0]
    assert (who, what) == ('alice', one)


def test_the_command_has_the_same(console, parts, tmp_path):
    _, one, _ = parts
    path = tmp_path / 'x.vtt'
    console.ctl.ok('recordings', 'captions', one, '--output', str(path))
    assert path.read_text() == console.people['alice'].get(
        f'recordings/{one}/captions').text
    # what players read it with
    out = subprocess.run(
        ['ffprobe', '-v', 'error', '-show_entries', 'packet=pts_time', '-of',
         'csv=p=0', str(path)], check=True, capture_output=True, text=True)
    assert [float(x) for x in out.stdout.split()] == [0, 3, 40, 55, 55]


def test_names_are_plain_text(console):
    """Names are what people typed: no markup, no new cue, no text that runs
    the other way."""
    assert console.sql(
        'SELECT vtt_text(%s)',
        ('al<b>\u202eice\x1b\n\n00:01 --> 00:02\u2028&',)) == [
        ('al&lt;b&gt;ice00:01 --&gt; 00:02&amp;',)]


def test_not_before_its_end(console, parts):
    session, _, _ = parts
    live = console.ctl.segment(session, 3, status='recording')
    console.sql('UPDATE segments SET duration_ms = NULL WHERE id = %s',
                (live,))
    assert console.people['alice'].get(
        f'recordings/{live}/captions').status_code == 409
    assert 'has not ended' in console.ctl.fails(
        1, 'recordings', 'captions', live)
