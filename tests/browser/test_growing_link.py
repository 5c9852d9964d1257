"""Watching a session while it is being recorded (X1): Chromium opens the
link of a segment that is still being written, once through MediaSource with
ranges and the index, once as a plain <video> that follows the stream."""
import json
import os
import threading

import conftest
import demo
import pytest
from process import wait_until
from test_recording_plays import browser, site  # noqa: F401

PAGE = '''<!doctype html><video id=ranges muted width=640></video>
<video id=follow muted width=640></video>'''

START = '''
const [url, done] = arguments;
const v = document.getElementById('ranges');
const w = document.getElementById('follow');
const s = window.state = {totals: [], index: null, error: null, closed: false};
const wait = ms => new Promise(r => setTimeout(r, ms));
const indexUrl = url.replace('.webm?', '.webm/index.json?');

async function ranges() {
  const media = new MediaSource();
  v.src = URL.createObjectURL(media);
  await new Promise(r => media.addEventListener('sourceopen', r));
  let buffer = null, at = 0;
  for (;;) {
    s.index = await (await fetch(indexUrl)).json();
    if (buffer === null && s.index.codec !== null)
      buffer = media.addSourceBuffer(
        `video/webm; codecs="${s.index.codec}"`);
    if (s.index.bytes > at) {
      const r = await fetch(url, {headers: {
        Range: `bytes=${at}-${s.index.bytes - 1}`}});
      if (r.status !== 206) throw new Error('status ' + r.status);
      s.totals.push(r.headers.get('Content-Range').split('/')[1]);
      const data = await r.arrayBuffer();
      buffer.appendBuffer(data);
      await new Promise((ok, bad) => {
        buffer.onupdateend = ok; buffer.onerror = bad; });
      at += data.byteLength;
    } else if (!s.index.growing) {
      media.endOfStream();
      s.closed = true;
      return;
    } else await wait(200);
  }
}
ranges().catch(e => { s.error = String(e); });
w.onerror = () => { s.error = 'follow: ' + w.error.message; };
w.src = url + '&follow=1';
w.play().catch(() => {});
done();
'''

LOOK = '''
const see = v => ({
  at: v.currentTime, ended: v.ended, duration: v.duration,
  w: v.videoWidth, h: v.videoHeight,
  buffered: v.buffered.length ? v.buffered.end(v.buffered.length - 1) : 0,
  frames: v.getVideoPlaybackQuality().totalVideoFrames});
return {state: window.state, ranges: see(document.getElementById('ranges')),
        follow: see(document.getElementById('follow'))};
'''

SEEK = '''
const [to, done] = arguments;
const v = document.getElementById('ranges');
v.onseeked = () => {
  const c = document.createElement('canvas');
  c.width = c.height = 64;
  const g = c.getContext('2d');
  g.drawImage(v, 0, 0, 64, 64);
  done({at: v.currentTime, colours: new Set(new Uint32Array(
    g.getImageData(0, 0, 64, 64).data.buffer)).size});
};
v.pause(); /* so that it stays where it was sent */
v.currentTime = to;
'''

PLAY = '''
const [rate, done] = arguments;
const v = document.getElementById('ranges');
v.playbackRate = rate;
v.play().then(() => done(null), e => done(String(e)));
'''


@pytest.fixture(scope='module')
def rig(request, site):  # noqa: F811
    """Storage lets the page of this site read its files."""
    rig = conftest.make_rig(
        request, settings={'storage.cors_origin': site[1]})
    return rig.start()


class Look:
    def __init__(self, driver):
        self.driver = driver

    def __call__(self):
        out = self.driver.execute_script(LOOK)
        assert out['state']['error'] is None, out
        return out

    def until(self, what, probe, timeout_s=30):
        return wait_until(lambda: (o := self()) and probe(o) and o,
                          timeout_s, what)


def open_page(driver, site, url):  # noqa: F811
    with open(os.path.join(site[0], 'growing.html'), 'w',
              encoding='ascii') as f:
        f.write(PAGE)
    driver.get(site[1] + '/growing.html')
    driver.execute_async_script(START, url)
    return Look(driver)


def test_watch_a_session_that_goes_on(rig, browser, site):  # noqa: F811
    viewer = rig.viewer().start()
    stop = threading.Event()

    def work():
        while not stop.is_set():
            demo.work(rig.endpoint, viewer, 3)
    worker = threading.Thread(target=work)
    worker.start()
    try:
        row = wait_until(lambda: [
            r for r in rig.stack.ctl_json('recordings', 'list')
            if r['status'] == 'recording'], 30, 'a segment being written')[0]
        link = json.loads(rig.stack.ctl('recordings', 'link', row['id'],
                                        '--json'))
        look = open_page(browser, site, link['url'])

        # plays what is there
        seen = look.until('two seconds', lambda o:
                          o['ranges']['buffered'] > 2)
        assert browser.execute_async_script(PLAY, 1) is None
        first = seen['ranges']['buffered']
        # reaches what was not there when it was opened
        seen = look.until('new material', lambda o:
                          o['ranges']['at'] > first + 1 and
                          o['follow']['at'] > 1)
        assert seen['state']['index']['growing'] is True
        assert all(total.isdigit() for total in seen['state']['totals'])
        assert sorted(map(int, seen['state']['totals'])) == [
            int(total) for total in seen['state']['totals']]
        assert (seen['ranges']['w'], seen['ranges']['h']) == (
            row['width'], row['height'])
        # seeks back by the index, to a key frame and between two
        cues = seen['state']['index']['cues']
        assert cues[0][0] == 0 and cues[0][1] == (
            seen['state']['index']['header_bytes'])
        for to in (cues[-1][0] / 1000, 0.55):
            there = browser.execute_async_script(SEEK, to)
            assert abs(there['at'] - to) < 0.01
            assert there['colours'] > 5
        more = look.until('it goes on growing', lambda o:
                          o['ranges']['buffered'] >
                          seen['ranges']['buffered'] + 1)
        assert more['follow']['at'] > seen['follow']['at']
    finally:
        stop.set()
        worker.join(30)
    # the session ends; the same page plays to the end
    viewer.close()
    row = demo.wait_available(rig.stack, row['session'])[0]
    seen = look.until('the page knows the end', lambda o:
                      o['state']['closed'])
    assert str(row['bytes']) in seen['state']['totals']
    assert seen['state']['index']['duration_ms'] == row['duration_ms']
    assert browser.execute_async_script(PLAY, 4) is None
    seen = look.until('both have played to the end', lambda o:
                      o['ranges']['ended'] and o['follow']['ended'], 90)
    for player in (seen['ranges'], seen['follow']):
        # MediaSource guesses how long the last frame lasts: as long as the
        # longest before it
        assert -250 < player['at'] * 1000 - row['duration_ms'] < 1500
        assert player['frames'] > 0


PLAIN = '''
const [url, done] = arguments;
const v = document.createElement('video');
document.body.append(v);
v.id = 'plain'; v.muted = true;
v.onloadedmetadata = () => done(null);
v.onerror = () => done(v.error.message);
v.src = url;
'''

TO_THE_END = '''
const [to, done] = arguments;
const v = document.getElementById('plain');
v.onended = () => done([v.currentTime, null]);
v.onerror = () => done([v.currentTime, v.error.message]);
if (to !== null) v.currentTime = to;
v.play().catch(() => {});
'''

# Chromium keeps what it read of a URL, whatever Cache-Control says
AGAIN = '''
const [url, done] = arguments;
const v = document.getElementById('plain');
v.onended = null;
v.onloadedmetadata = () => done(null);
v.src = url + '#again';
'''


def test_plain_video_seeks_in_a_growing_file(rig, browser, site):  # noqa: F811
    """Beyond the end is the end, not the start; and it grows."""
    viewer = rig.viewer().start()
    demo.work(rig.endpoint, viewer, 4)
    row = wait_until(lambda: [
        r for r in rig.stack.ctl_json('recordings', 'list')
        if r['status'] == 'recording'], 30, 'a segment being written')[0]
    url = json.loads(rig.stack.ctl('recordings', 'link', row['id'],
                                   '--json'))['url']
    browser.get(site[1] + '/player.html')
    assert browser.execute_async_script(PLAIN, url) is None
    at, error = browser.execute_async_script(TO_THE_END, 3600)
    assert error is None
    end, error = browser.execute_async_script(TO_THE_END, 1)
    assert error is None and end > 2 and at == pytest.approx(end, abs=0.1)
    # what came since is there after loading the link again
    demo.work(rig.endpoint, viewer, 4)
    assert browser.execute_async_script(AGAIN, url) is None
    again, error = browser.execute_async_script(TO_THE_END, end)
    assert error is None and again > end + 1
    viewer.close()
    demo.wait_available(rig.stack, row['session'])


def test_link_is_in_the_audit_log(rig):
    """X7: who may watch now was let in by somebody."""
    viewer = rig.viewer().start()
    viewer.wait_for_window()
    row = wait_until(lambda: [
        r for r in rig.stack.ctl_json('recordings', 'list')
        if r['status'] == 'recording'], 30, 'a segment being written')[0]
    url = json.loads(rig.stack.ctl('recordings', 'link', row['id'],
                                   '--json'))['url']
    assert f'/files/demo/desk1/{row["session"]}/' in url
    audit = rig.stack.ctl_json('audit', 'list')
    assert any(a['action'] == 'link' and a['object'] == row['id']
               for a in audit)
    viewer.close()
    demo.wait_available(rig.stack, row['session'])
