"""Chromium plays what Relaycam makes: a stored recording by its signed link,
and a file that was cut off in the middle. X1, X4, T6."""
import json
import os
import shutil
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import demo
import pytest
from process import wait_until
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

import media

FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
         '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync',
         '--autoplay-policy=no-user-gesture-required',
         '--ignore-certificate-errors', '--window-size=1300,900']

PAGE = '<!doctype html><video id=v muted width=1280 height=800></video>'

PLAY = '''
const [url, seek, done] = arguments;
const v = document.getElementById('v');
const out = {};
const fail = () => done({error: v.error ? v.error.message : 'no reason'});
v.onerror = fail;
v.onloadedmetadata = () => {
  out.duration = v.duration; out.w = v.videoWidth; out.h = v.videoHeight;
  if (seek < 0) { v.playbackRate = 8;
    /* a file that ends before play() answers: 'ended' or 'error' tells */
    v.play().catch(e => { if (e.name !== 'AbortError') fail(); }); }
  else v.currentTime = seek;
};
/* a busy machine says 'seeked' before the picture can be drawn */
const report = (tries = 120) => {
  out.at = v.currentTime;
  out.frames = v.getVideoPlaybackQuality().totalVideoFrames;
  const c = document.createElement('canvas');
  c.width = 64; c.height = 64;
  const g = c.getContext('2d');
  g.drawImage(v, 0, 0, 64, 64);
  try {
    out.colours = new Set(
      new Uint32Array(g.getImageData(0, 0, 64, 64).data.buffer)).size;
  } catch (e) { out.colours = -1; }
  if (out.colours === 1 && tries > 0)
    setTimeout(report, 25, tries - 1);
  else
    done(out);
};
v.onended = () => report();
v.onseeked = () => { if (seek >= 0) report(); };
v.src = url;
'''


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope='module')
def site():
    """A folder served on loopback, for the page and local files."""
    root = tempfile.mkdtemp(prefix='rc-site-')
    with open(os.path.join(root, 'player.html'), 'w', encoding='ascii') as f:
        f.write(PAGE)
    server = ThreadingHTTPServer(
        ('127.0.0.1', 0), lambda *a: Handler(*a, directory=root))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield root, f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    shutil.rmtree(root)


@pytest.fixture(scope='module')
def browser():
    profile = tempfile.mkdtemp(prefix='rc-chrome-')
    options = Options()
    options.binary_location = '/usr/bin/chromium'
    for flag in FLAGS + [f'--user-data-dir={profile}']:
        options.add_argument(flag)
    driver = webdriver.Chrome(
        service=Service('/usr/bin/chromedriver'), options=options)
    driver.set_script_timeout(60)
    yield driver
    driver.quit()
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture(scope='module')
def recording(rig):
    """A session of a few seconds: its row, its link, its bytes."""
    viewer = rig.viewer().start()
    demo.work(rig.endpoint, viewer, 5)
    viewer.close()
    session = wait_until(lambda: [
        s for s in rig.stack.ctl_json('sessions', 'list', '--limit', '1')
        if s['ended_at']], 20, 'the session to end')[0]
    row = demo.wait_available(rig.stack, session['id'])[0]
    link = json.loads(rig.stack.ctl('recordings', 'link', row['id'],
                                    '--json'))
    path = rig.stack.path('tmp', 'browser.webm')
    rig.stack.ctl('recordings', 'fetch', row['id'], '--output', path, '--ca',
                  rig.stack.path('ca.pem'))
    return row, link['url'], path


def play(browser, site, url, seek=-1):
    browser.get(site[1] + '/player.html')
    out = browser.execute_async_script(PLAY, url, seek)
    assert 'error' not in out, out
    return out


def test_signed_link_plays_to_its_end(browser, site, recording):
    row, url, _ = recording
    out = play(browser, site, url)
    assert abs(out['duration'] * 1000 - row['duration_ms']) <= 5
    assert (out['w'], out['h']) == (row['width'], row['height'])
    assert abs(out['at'] - out['duration']) < 0.05
    assert out['frames'] > 0


def test_signed_link_seeks(browser, site, recording):
    """Seeking needs Range answers from storage and cues in the file."""
    row, url, _ = recording
    middle = row['duration_ms'] / 2000
    out = play(browser, site, url, middle)
    assert abs(out['at'] - middle) < 0.2
    assert out['frames'] > 0


def test_finished_file_shows_a_picture(browser, site, recording):
    shutil.copy(recording[2], os.path.join(site[0], 'whole.webm'))
    out = play(browser, site, site[1] + '/whole.webm')
    # a desktop with text and a clock, not one flat colour
    assert out['colours'] > 5


@pytest.mark.parametrize('part', [0.4, 0.77])
def test_cut_off_file_plays(browser, site, recording, part):
    """As after a power cut: no cues, no duration, the last block torn. The
    cut is taken from a file whose header is not yet patched."""
    with open(recording[2], 'rb') as f:
        data = bytearray(f.read())
    size_at = data.index(b'\x18\x53\x80\x67') + 4
    data[size_at:size_at + 8] = b'\x01' + b'\xff' * 7
    duration_at = data.index(b'\x44\x89\x88')
    data[duration_at:duration_at + 11] = b'\xec\x89' + b'\0' * 9
    name = f'cut-{part}.webm'
    with open(os.path.join(site[0], name), 'wb') as f:
        f.write(data[:int(len(data) * part)])
    out = play(browser, site, f'{site[1]}/{name}')
    assert out['frames'] > 0
    assert out['colours'] > 5
    assert media.frame_times(os.path.join(site[0], name))
