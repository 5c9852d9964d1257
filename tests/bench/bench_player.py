"""The console's player: the first picture and seeking of a day against a bare
<video> on the same file, served by nginx over TLS; the delay of watching live
against the technician's noVNC; lists of a million recordings against the
answer of the API alone."""
import os
import random
import shutil
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ('', 'players', 'integration', 'browser'):
    sys.path.insert(0, os.path.join(HERE, '..', folder))

import conftest  # noqa: E402
import counter  # noqa: E402
from bench_tools import ahead_of_others, load_average  # noqa: E402
from console_page import ConsolePage  # noqa: E402
from player_rig import KnownSession, Part  # noqa: E402
from process import Process, tcp_answers, wait_until  # noqa: E402
from viewer_page import Page  # noqa: E402

HOUR_MS = 3_600_000
NGINX_PORT = 25070
AT = 700, 300           # of the counter on the live desktop
FRAME_MS = 100          # of the day's recording

# readNumber(): the counter in a video or canvas, or null. whenShown() calls
# back with the time at which one of the numbers is on the screen.
PROBE = '''
window.probeCanvas = document.createElement('canvas');
window.probeCanvas.width = %(width)d; window.probeCanvas.height = %(height)d;
window.probe = window.probeCanvas.getContext('2d', {willReadFrequently: true});
window.readNumber = (source, x, y) => {
  probe.drawImage(source, x, y, %(width)d, %(height)d, 0, 0, %(width)d, %(height)d);
  const row = probe.getImageData(0, %(row)d, %(width)d, 1).data, cells = [];
  for (let i = 0; i < %(bits)d + 2; i++)
    cells.push(row[4 * (%(edge)d + i * %(side)d + %(side)d / 2)]);
  if (cells[0] < 190 || cells.at(-1) > 65 || cells.some(c => c > 85 && c < 170))
    return null;
  let g = 0, n = 0;
  cells.slice(1, -1).forEach((c, i) => { if (c > 127) g += 2 ** i; });
  for (; g; g = Math.floor(g / 2)) n ^= g;
  return n;
};
window.whenShown = (video, isIt, done) => {
  const look = () => {
    const n = video.readyState >= 2 && !video.seeking ? readNumber(video, 4, 4) : null;
    if (n !== null && isIt(n)) {
      done([performance.now(), n]);
      return;
    }
    video.requestVideoFrameCallback(look);
  };
  const again = setInterval(() => { if (!video.seeking && video.readyState >= 2) { clearInterval(again); look(); } }, 4);
  video.requestVideoFrameCallback(look);
};
''' % {'width': counter.WIDTH, 'height': counter.HEIGHT, 'bits': counter.BITS,
       'edge': counter.EDGE, 'side': counter.SIDE,
       'row': counter.EDGE + counter.SIDE // 2}

FIRST = '''
const [find, done] = arguments;
const began = performance.now();
const video = () => document.querySelector('rc-player video') ||
  document.querySelector('video');
eval(find);
let isDone = false;
const wait = () => {
  const v = video();
  if (!v) { requestAnimationFrame(wait); return; }
  whenShown(v, () => true, ([at, n]) => {
    if (!isDone) { isDone = true; done([at - began, n]); }
  });
};
wait();
'''

SEEK = '''
const [start, numbers, done] = arguments;
const video = document.querySelector('rc-player video') ||
  document.querySelector('video');
let isDone = false;
const began = performance.now();
eval(start);
whenShown(video, n => numbers.includes(n), ([at, n]) => {
  if (!isDone) { isDone = true; done([at - began, n]); }
});
'''


# Once the seek has ended: the number that is on the screen.
SETTLE = '''
const [ms, done] = arguments;
const player = document.querySelector('rc-player'), video = player.video;
player.seek(ms);
const look = () => {
  if (!video.seeking && video.readyState >= 2 && Math.abs(video.currentTime * 1000 - ms) < 60)
    setTimeout(() => done(readNumber(video, 4, 4)), 50);
  else
    setTimeout(look, 10);
};
look();
'''


def day_events(seed=5):
    """24 hours: something every minute or so, and ten seconds of every half
    hour in which each frame is another one."""
    chance, events, at = random.Random(seed), [], 0
    while at < 24 * HOUR_MS - 60_000:
        events.append((at, len(events) + 1))
        at += (FRAME_MS * 2 if at % (HOUR_MS // 2) < 10_000
               else chance.randrange(30_000, 90_000))
    return events


class Bench:
    def __init__(self, build, results):
        self.build, self.results = build, results
        self.dir = tempfile.mkdtemp(prefix='rc-player-', dir='/tmp')
        os.chmod(self.dir, 0o755)
        self.rig = conftest.Rig(conftest.Stack(
            os.path.join(self.dir, 'state'), build,
            conftest.free_ports()))
        self.processes, self.pages = [], []

    def close(self):
        for page in self.pages:
            page.close()
        for p in self.processes:
            p.stop(5)
        self.rig.stack.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self):
        self.rig.start()
        self.rig.stack.start_console()
        self.url = f'https://localhost:{self.rig.stack.ports.console}'
        return self

    def page(self, url=None):
        page = ConsolePage(url or self.url)
        self.pages.append(page)
        page.cdp('Page.addScriptToEvaluateOnNewDocument', source=PROBE)
        return page

    def console(self):
        page = self.page()
        page.login('alice', self.rig.password)
        return page

    def start_nginx(self, path):
        """The file and a page of one element."""
        folder = os.path.join(self.dir, 'www')
        os.makedirs(folder)
        shutil.copy(path, os.path.join(folder, 'day.webm'))
        with open(os.path.join(folder, 'index.html'), 'w',
                  encoding='ascii') as f:
            f.write('<!doctype html><title>bare</title><h1>bare</h1>')
        stack = self.rig.stack
        conf = os.path.join(self.dir, 'nginx.conf')
        with open(conf, 'w', encoding='ascii') as f:
            f.write(f'''daemon off;
user root;
pid {self.dir}/nginx.pid;
error_log {self.dir}/nginx.log;
worker_processes 1;
events {{ worker_connections 200; }}
http {{
    access_log off;
    types {{ text/html html; video/webm webm; }}
    sendfile on;
    server {{
        listen 127.0.0.1:{NGINX_PORT} ssl;
        ssl_certificate {stack.path('conf', 'relay.pem')};
        ssl_certificate_key {stack.path('conf', 'relay.key')};
        root {folder};
    }}
}}
''')
        p = Process('nginx', ['nginx', '-c', conf, '-p', self.dir],
                    os.path.join(self.dir, 'nginx.out'))
        self.processes.append(p)
        wait_until(lambda: tcp_answers(NGINX_PORT), 10, 'nginx', p)
        return f'https://localhost:{NGINX_PORT}/index.html'


# --- the first picture -------------------------------------------------------

BARE = '''const v = document.createElement('video');
v.muted = true; v.preload = 'auto'; v.src = '/day.webm'; document.body.append(v);'''


def first_picture(page, path, script, ready=''):
    """Milliseconds from a click on a loaded page to the first picture. ready:
    what happens half a second before."""
    page.driver.get(path)
    page.settle()
    page.js(ready)
    time.sleep(0.5)     # between pointing at a link and the click
    ms, number = page.driver.execute_async_script(FIRST, script)
    assert number == 1, number
    return ms


def run_first(b, ours, bare, bare_url, day, rounds):
    point = f'''window.link = document.createElement('a');
link.href = '/sessions/{day.id}/play'; document.querySelector('h1').append(link);
link.dispatchEvent(new PointerEvent('pointerover', {{bubbles: true}}));'''
    for _ in range(rounds):
        mine = first_picture(ours, b.url + '/sessions', 'link.click();', point)
        theirs = first_picture(bare, bare_url, BARE)
        b.results.note(f'player first picture: {mine:.0f} ms, bare video '
                       f'{theirs:.0f} ms, {load_average()}')
        b.results.ratio('player_first_picture', mine, theirs)


# --- seeking -----------------------------------------------------------------

def run_seek(b, ours, bare, day, rounds):
    part, chance = day.parts[0], random.Random(11)
    for _ in range(rounds):
        times, errors = {'ours': [], 'bare': []}, []
        for _ in range(12):
            ms = chance.uniform(0, part.end_ms - 1000)
            numbers = sorted(day.at(ms, 150, 150))
            for who, page, start in (
                    ('ours', ours, "document.querySelector('rc-player')"
                     f'.seek({ms})'),
                    ('bare', bare, f'video.currentTime = {ms / 1000}')):
                took, number = page.driver.execute_async_script(
                    SEEK, start, numbers)
                times[who].append(took)
        mine, theirs = (statistics.median(times[w]) for w in ('ours', 'bare'))
        b.results.note(f'player seek: {mine:.0f} ms, bare video {theirs:.0f} '
                       f'ms, {load_average()}')
        b.results.ratio('player_seek', mine, theirs)


def run_error(b, ours, day, rounds):
    """Times at which each frame is another one: by how many frames is the
    picture wrong that is shown when the seek has ended?"""
    part, chance = day.parts[0], random.Random(13)
    busy = [(t, n) for t, n in part.events
            if 1000 < t % (HOUR_MS // 2) < 9000]
    worst = 0
    for _ in range(10 * rounds):
        t, n = chance.choice(busy)
        ms = t + chance.uniform(0, FRAME_MS * 2)
        shown = ours.driver.execute_async_script(SETTLE, ms)
        right = [k for u, k in part.events if u <= ms][-1]
        worst = max(worst, abs(shown - right))
    b.results.note(f'player seek: {worst} frames off at most')
    b.results.ratio('player_seek_error_frames', worst, 1)


# --- live --------------------------------------------------------------------

WATCH_NUMBERS = '''
const [css, x, y, seconds, done] = arguments;
const seen = {}, end = performance.now() + seconds * 1000;
const look = () => {
  const source = document.querySelector(css), now = performance.timeOrigin + performance.now();
  try {
    const n = source && readNumber(source, x, y);
    if (n !== null && !(n in seen)) seen[n] = now;
  } catch {}
};
const timer = setInterval(() => {
  look();
  if (performance.now() > end) { clearInterval(timer); done(seen); }
}, 4);
'''


def numbers_seen(page, css, seconds):
    """{number: Unix milliseconds} of what came on the screen meanwhile."""
    page.driver.set_script_timeout(seconds + 60)
    return {int(n): at for n, at in page.driver.execute_async_script(
        WATCH_NUMBERS, css, *AT, seconds).items()}


def run_live(b, rounds):
    from concurrent.futures import ThreadPoolExecutor
    rig = b.rig
    viewer = Page(rig.stack.ports.web)
    b.pages.append(viewer)
    viewer.driver.execute_cdp_cmd('Page.addScriptToEvaluateOnNewDocument',
                                  {'source': PROBE})
    viewer.open('#endpoint=desk1&user=alice')
    viewer.login('alice', 'desk1', rig.password)
    viewer.wait_connected()
    session = wait_until(lambda: rig.stack.sql(
        "SELECT session_id FROM segments WHERE status = 'recording'"),
        60, 'a recording')[0][0]
    watcher = b.console()
    watcher.driver.get(f'{b.url}/sessions/{session}/play')
    for hz in (4, 0.6):
        drawn = counter.Counter(rig.stack, rig.endpoint.env, *AT, hz=hz)
        watcher.until(lambda: watcher.js(
            "const v = document.querySelector('rc-player video');"
            'return v && v.readyState >= 2 && readNumber(v, '
            f'{AT[0]}, {AT[1]}) !== null'), 'the counter')
        for _ in range(rounds):
            with ThreadPoolExecutor(2) as pool:
                near = pool.submit(numbers_seen, viewer, '#desktop canvas', 15)
                far = pool.submit(numbers_seen, watcher, 'rc-player video',
                                  20)
                near, far = near.result(), far.result()
            wall = {n: (ns - time.monotonic_ns()) / 1e6 + time.time() * 1e3
                    for n, ns in drawn.lines()}
            both = sorted(set(near) & set(far) & set(wall))[2:]
            if not both:
                b.results.note(f'player live, {hz} changes per second: nothing '
                               f'was seen on both, {load_average()}')
                continue
            more = [(far[n] - near[n]) / 1e3 for n in both]
            b.results.note(
                f'player live, {hz} changes per second: {len(both)} numbers, '
                f'noVNC {statistics.median(near[n] - wall[n] for n in both):.0f}'
                f' ms, watcher {statistics.median(far[n] - wall[n] for n in both):.0f}'
                f' ms behind the desktop; {statistics.median(more):.2f} s '
                f'more, {max(more):.2f} s at most; {load_average()}')
            b.results.ratio('live_glass', statistics.median(more), 1)
        drawn.stop()
    viewer.disconnect()


# --- lists -------------------------------------------------------------------

# From scrolling to the end until the rows behind it are painted.
SCROLL = '''
const [done] = arguments;
const count = () => Number(document.querySelector('.table-foot').textContent.replace(/\\D/g, ''));
const before = count(), began = performance.now();
scrollTo(0, document.documentElement.scrollHeight);
const look = () => {
  const foot = document.querySelector('.table-foot');
  if (foot && count() > before)
    setTimeout(() => done([performance.now() - began, before]), 0); // this frame is painted by then
  else if (performance.now() - began > 30000)
    done(null);
  else
    requestAnimationFrame(look);
};
look();
'''

LAST_PAGE = '''
return performance.getEntriesByType('resource').filter(
  e => /recordings\\?.*cursor/.test(e.name)).at(-1).name;
'''

FETCH = '''
const [url, done] = arguments;
(async () => {
  const began = performance.now();
  await (await fetch(url, {headers: {Accept: 'application/json'}, cache: 'no-store'})).text();
  done(performance.now() - began);
})();
'''


def run_lists(results, build, rounds):
    import bench_console
    b = bench_console.Bench(build, results)
    page = None
    try:
        b.start()
        page = ConsolePage(f'https://localhost:{b.ports.console}')
        page.login(bench_console.OWNER, bench_console.PASSWORD)
        page.open('/recordings')
        page.until(lambda: page.all('tr[data-row]'), 'rows')
        for _ in range(rounds):
            painted, api = [], []
            for _ in range(20):
                found = page.driver.execute_async_script(SCROLL)
                assert found, 'no next page'
                painted.append(found[0])
                time.sleep(0.7)     # reads what is there
                api.append(page.driver.execute_async_script(
                    FETCH, page.js(LAST_PAGE)))
            mine, theirs = statistics.median(painted), statistics.median(api)
            results.note(f'player list: a page is painted after {mine:.0f} '
                         f'ms, the API answers in {theirs:.0f} ms, '
                         f'{load_average()}')
            results.ratio('list_paint', mine, theirs)
    finally:
        if page:
            page.close()
        b.close()


def run(results, build, rounds):
    only = os.environ.get('RELAYCAM_BENCH_ONLY', 'day live lists').split()
    b = Bench(build, results)
    try:
        if 'day' in only or 'live' in only:
            b.start()
        if 'day' in only:
            began = time.monotonic()
            day = KnownSession(b.rig, [Part(day_events(), 24 * HOUR_MS)],
                               age_s=25 * 3600).store()
            path = day.path(day.parts[0])
            results.note(f'player: a day of {len(day.parts[0].events)} '
                         f'changes, {os.path.getsize(path) >> 10} KB, made in '
                         f'{time.monotonic() - began:.0f} s')
            bare_url = b.start_nginx(path)
            ours, bare = b.console(), b.page(bare_url)
            with ahead_of_others():
                run_first(b, ours, bare, bare_url, day, rounds)
                ours.driver.execute_script(
                    "document.querySelector('rc-player').playback.pause()")
                run_seek(b, ours, bare, day, rounds)
            run_error(b, ours, day, rounds)
        if 'live' in only:
            run_live(b, min(rounds, 3))
    finally:
        b.close()
    if 'lists' in only:
        run_lists(results, build, min(rounds, 3))
