"""The console's player in Chromium: what a test does to it and sees of it."""
import base64
import contextlib

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import desktop
from console_page import ConsolePage
from player_rig import number_in


@contextlib.contextmanager
def saving_page(rig, downloads):
    """The console, alice logged in; what it saves goes into `downloads`."""
    page = ConsolePage(f'https://localhost:{rig.stack.ports.console}',
                       downloads=downloads)
    page.downloads = downloads
    try:
        page.login('alice', rig.password)
        yield page
    finally:
        page.close()


STATE = '''
const p = document.querySelector('rc-player');
if (!p || !p.playback || !p.timeline.isConnected) return null;
const v = p.video, b = p.playback, buffered = [];
for (let i = 0; i < v.buffered.length; i++)
  buffered.push([v.buffered.start(i), v.buffered.end(i)]);
return {ms: b.positionMs, total: b.model.durationMs, state: b.model.state,
  seeking: v.seeking, ready: v.readyState, playing: b.isPlaying, ended: v.ended,
  size: [v.videoWidth, v.videoHeight], buffered, rate: v.playbackRate,
  live: b.isLive, fed: b.fedToMs, renewed: p.links.renewed,
  notice: p.notice.hidden ? '' : p.notice.textContent,
  check: p.check.textContent, checked: p.check.dataset.state,
  files: [...b.files.values()].map(f => ({seq: f.recording.seq,
    problem: f.problem, blocks: (f.check.blocks || []).map(x =>
    [x.offset, x.length, x.state])}))};
'''

PICTURE = '''
const v = document.querySelector('rc-player video');
const c = document.createElement('canvas');
c.width = v.videoWidth; c.height = v.videoHeight;
c.getContext('2d').drawImage(v, 0, 0);
return c.toDataURL('image/png').split(',')[1];
'''

# A stall is a time without a new picture while it plays. A browser that waits
# with the next second at hand waits for a processor, not for us.
WATCH_STALLS = '''
const v = document.querySelector('rc-player video');
window.stalls = [];
for (const type of ['waiting', 'error', 'emptied'])
  v.addEventListener(type, () => {
    const at = v.currentTime, b = v.buffered;
    for (let i = 0; i < b.length && type === 'waiting'; i++)
      if (at >= b.start(i) - 0.1 && at + 1 < b.end(i)) return;
    window.stalls.push([type, at]);
  });
'''

# Plays over a time and calls back with the longest pause around it: wall time
# that passed without as much media time, and with how much was buffered behind
# it half a second before. A page that is drawn late loses nothing: the media
# clock runs on. The pipeline's own start is over by then.
PLAY_OVER = '''
const [at, done] = arguments;
const {video: v, playback} = document.querySelector('rc-player');
const look = [];
let before = null;
playback.play();
const timer = setInterval(() => {
  const ms = v.currentTime * 1000;
  if (ms >= at - 1000)
    look.push(performance.now() - ms);
  if (before === null && ms >= at - 500)
    before = playback.fedToMs - at;
  if (ms < at + 1000)
    return;
  clearInterval(timer);
  playback.pause();
  let least = Infinity, longest = 0;
  for (const lag of look) {
    least = Math.min(least, lag);
    longest = Math.max(longest, lag - least);
  }
  done([longest, before]);
}, 10);
'''


class PlayerPage:
    """page: a ConsolePage that is logged in."""

    def __init__(self, page):
        self.page = page

    def open(self, session, fragment='', paused=True):
        """paused: the first picture is there, and stays."""
        self.page.open('/sessions')
        self.page.open(f'/sessions/{session}/play{fragment}')
        self.until(lambda s: s['ready'] >= 2 and not s['seeking'],
                   'the first picture')
        if paused:
            self.js("document.querySelector('rc-player').playback.pause()")
        self.js(WATCH_STALLS)
        return self

    def js(self, script, *args):
        return self.page.js(script, *args)

    def state(self):
        return self.js(STATE)

    def until(self, probe, what, timeout_s=60):
        def look():
            state = self.state()
            return state if state is not None and probe(state) else None
        try:
            return self.page.until(look, what, timeout_s)
        except AssertionError as e:
            raise AssertionError(f'{e}; {self.state()}') from e

    def seek(self, ms):
        self.js("document.querySelector('rc-player').seek(arguments[0])", ms)
        return self.settled(ms)

    def settled(self, ms, within=60):
        return self.until(lambda s: not s['seeking'] and s['ready'] >= 2 and
                          abs(s['ms'] - ms) <= within, f'the picture of {ms}')

    def play(self):
        self.js("document.querySelector('rc-player').playback.play()")

    def pause(self):
        self.js("document.querySelector('rc-player').playback.pause()")

    def number(self):
        """What the picture shows. A browser may say that a seek has ended a
        moment before its compositor has the picture: it is to stay."""
        seen = []

        def look():
            seen.append(self._number())
            return len(seen) > 3 and seen[-1] and seen[-4:] == 4 * seen[-1:]
        self.page.until(look, 'a number that stays')
        return seen[-1][0]

    def _number(self):
        value = number_in(base64.b64decode(self.js(PICTURE)))
        return None if value is None else [value]

    def hover(self, ms):
        """The pointer rests on a place of the timeline."""
        x, y = self.js('''
const t = document.querySelector('rc-timeline');
t.scrollIntoView({block: 'center'});
const b = t.track.getBoundingClientRect();
return [b.left + (arguments[0] - t.fromMs) / t.spanMs * b.width, b.top + b.height / 2];''', ms)
        actions = ActionBuilder(self.page.driver)
        actions.pointer_action.move_to_location(round(x), round(y))
        actions.perform()

    def hover_number(self, ms, size=desktop.SIZE):
        """What the picture shows that comes for a place that was not played."""
        self.js("document.querySelector('rc-player').thumbnails.played.clear()")
        self.hover(ms)

        def look():
            url = self.js("return document.querySelector('.rct-tip img')?.src")
            if not url or not url.startswith('data:'):
                return None
            value = number_in(base64.b64decode(url.split(',')[1]), size=size)
            return None if value is None else [value]
        return self.page.until(look, f'the frame of {ms}')[0]

    def stalls(self):
        return self.js('return window.stalls')

    def play_over(self, at):
        """[the longest pause while it plays over a time, how much of what
        follows is buffered half a second before], in milliseconds."""
        return self.page.driver.execute_async_script(PLAY_OVER, at)

    def keys(self, *keys):
        """To the page itself, not to a control."""
        self.js('document.activeElement.blur()')
        ActionChains(self.page.driver).send_keys(*keys).perform()

    def shifted(self, key):
        self.js('document.activeElement.blur()')
        ActionChains(self.page.driver).key_down(Keys.SHIFT).send_keys(
            key).key_up(Keys.SHIFT).perform()

    def find(self, css):
        return self.page.driver.find_elements(By.CSS_SELECTOR, css)

    def spans(self, css):
        """[left, right] of elements of the timeline in milliseconds."""
        return self.js('''
const t = document.querySelector('rc-timeline');
const box = t.track.getBoundingClientRect();
return [...t.querySelectorAll(arguments[0])].map(e => {
  const b = e.getBoundingClientRect();
  return [b.left, b.right].map(x => (x - box.left) / box.width * t.spanMs);
});''', css)
