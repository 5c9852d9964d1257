/*
 * Plays a session's recordings as one: a MediaSource whose times are those of
 * the timeline, fed by one recording after the other, so that the next one is
 * there before this one ends. What is appended is what was checked.
 *
 * Events: 'change' (state, rate, live), 'gap' (detail: the gap that the position
 * is in or that is passed, or null),
 * 'left-out': what cannot be decoded was; 'skipped' (detail: ms), 'problem' (detail: a sentence, or null), 'model'.
 */
import {LiveClusters, clusterOf, join} from './live_clusters.js';
import {whileVisible, withPlace} from './live_places.js';
import {MediaFeed} from './media_feed.js';
import {Painted} from './painted.js';
import {FileError} from './recording_file.js';
import {sleep, stopped} from './stop.js';

const AHEAD_MS = 20000;     /* kept ready at normal speed */
const BEHIND_S = 60;        /* kept behind the position */
const GAP_NOTICE_MS = 1500;
const POLL_MS = 400;        /* of a growing file */
const LIVE_LAG_MS = 3000;   /* more than that behind is caught up at once */
const LIVE_KEEP_MS = 300;
const REBUILDS_MAX = 20;    /* after bytes that cannot be decoded */

export class Playback extends EventTarget {
  /* openFile(recording): a RecordingFile. */
  constructor(video, model, openFile) {
    super();
    this.video = video;
    this.model = model;
    this.openFile = openFile;
    this.files = new Map();
    this.run = null;        /* what feeds: {stop: AbortController} */
    this.wantsPlay = false;
    this.isLive = false;
    this.rate = 1;
    this.skipsIdle = false;
    this.monitor = 0;       /* 0: whatever the technician looked at */
    this.targetMs = 0;
    this.fedToMs = 0;
    this.isMoving = false;  /* to what is not buffered */
    this.gapUntil = 0;
    this.passing = null;
    this.rebuilds = 0;
    this.feed = new MediaFeed(video);
    this.painted = new Painted(video);
    this.video.addEventListener('error', () => this.onMediaError());
    this.video.addEventListener('ended', () => this.tell('change'));
    this.video.addEventListener('seeked', () => this.tell('change'));
    this.timer = setInterval(() => this.tick(), 100);
    this.closing = new AbortController();
    this.feeding = this.feed.open(this.closing.signal).catch(() => {});
  }

  close() {
    clearInterval(this.timer);
    this.closing.abort();
    this.painted.close();
    this.stopFeeding();
    this.feed.close();
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, {detail}));
  }

  /* ---- what a page asks for ---- */

  get positionMs() {
    return this.isReady ? this.video.currentTime * 1000 : this.targetMs;
  }

  get isReady() {
    return this.feed.isOpen && this.video.readyState > 0;
  }

  /* The picture is that of the position. */
  get isPictureRight() {
    return this.isReady && !this.isMoving && this.painted.isRight(ms => this.frameAt(ms));
  }

  /* Position of the frame that is shown at ms; -1: it is not known. */
  frameAt(ms) {
    const {recording} = this.model.at(ms);
    const file = recording && this.files.get(recording.id);
    const at = file ? file.frames.findLast(t => recording.fromMs + t <= ms + 0.9) : undefined;
    return at === undefined ? -1 : recording.fromMs + at;
  }

  /* There is a picture, not always that of the position yet. */
  shown() {
    return this.soon(() => this.video.readyState >= 2 && !this.video.seeking);
  }

  pictured() {
    return this.soon(() => this.isPictureRight);
  }

  /* Resolves once it is so; after two seconds in any case. */
  soon(isSo) {
    return new Promise(done => {
      const end = performance.now() + 2000;
      const look = () => {
        if (isSo() || performance.now() > end)
          done();
        else
          setTimeout(look, 20);
      };
      look();
    });
  }

  /* Recordings that are shown or fetched. */
  usedIds() {
    const shown = this.model.at(this.positionMs).recording;
    return [shown && shown.id, this.fedId].filter(id => id);
  }

  get isPlaying() {
    return this.wantsPlay;
  }

  play() {
    this.wantsPlay = true;
    this.hasEnded = false;
    const end = this.model.durationMs;
    if (this.model.state === 'ended' && this.positionMs >= end - 100)
      this.seek(0);
    this.video.play().catch(() => {});
    this.tell('change');
  }

  pause() {
    this.wantsPlay = false;
    this.leaveLive();
    this.video.pause();
    this.tell('change');
  }

  setRate(rate) {
    this.rate = rate;
    this.feed.setRate(rate);
    this.tell('change');
  }

  /* Shows the picture of a position. One in a gap leads behind it. */
  seek(ms) {
    this.leaveLive();
    this.moveTo(Math.min(Math.max(ms, 0), Math.max(this.model.durationMs, 0)));
  }

  moveTo(ms) {
    this.targetMs = ms;
    this.announce(this.model.at(ms).gap || null);
    if (this.feed.isBuffered(ms)) {
      this.video.currentTime = ms / 1000;
      this.tell('change');
      return;
    }
    this.feedFrom(ms);
  }

  goLive() {
    if (this.model.state !== 'active')
      return;
    this.isLive = true;
    this.setRate(1);
    this.wantsPlay = true;
    const last = this.model.recordings.filter(r => r.isPlayable).pop();
    if (last) {
      const end = this.model.endOf(last);
      this.targetMs = Math.max(last.fromMs, end - LIVE_KEEP_MS);
      if (!this.feed.isBuffered(this.targetMs))
        this.feedFrom(this.targetMs);
      else
        this.video.currentTime = this.targetMs / 1000;
    }
    this.video.play().catch(() => {});
    this.tell('change');
  }

  /* The frame behind (1) or before (-1) the one that is shown. */
  step(direction) {
    this.pause();
    const now = this.positionMs, {recording} = this.model.at(now);
    const file = recording && this.files.get(recording.id);
    const times = file ? file.frames.map(t => recording.fromMs + t) : [];
    if (direction > 0) {
      const next = times.find(t => t > now + 0.9);
      const behind = recording && this.model.next(recording);
      if (next !== undefined)
        this.moveTo(next + 0.4);
      else if (behind)
        this.moveTo(behind.fromMs + 0.4);
    } else {
      const shown = times.filter(t => t <= now + 0.9).pop();
      this.moveTo(Math.max(0, (shown !== undefined ? shown : now) - 1));
    }
  }

  /* The decoder gave up, as it may on bytes that were changed: behind the place
   * it goes on. */
  async onMediaError() {
    const at = Math.max(this.positionMs, this.targetMs);
    const {recording} = this.model.at(at);
    const file = recording && this.files.get(recording.id);
    this.stopFeeding();
    this.feed.drop();
    this.targetMs = at;
    this.rebuilds++;
    if (!file || this.rebuilds > REBUILDS_MAX) {
      this.tell('problem', 'The browser cannot decode this recording.');
      return;
    }
    this.tell('left-out');
    await file.loadCues().catch(() => {});
    const cue = file.cues.find(c => recording.fromMs + c.timeMs > at + 250);
    const next = this.model.next(recording);
    if (cue)
      this.feedFrom(recording.fromMs + cue.timeMs);
    else if (next)
      this.feedFrom(next.fromMs);
  }

  /* ---- feeding ---- */

  stopFeeding() {
    if (this.run)
      this.run.stop.abort();
    this.run = null;
  }

  /* Everything that is buffered goes; the recording of ms, and those behind it,
   * come. */
  feedFrom(ms) {
    this.stopFeeding();
    const run = {stop: new AbortController()};
    this.run = run;
    this.isMoving = true;
    this.targetMs = ms;
    const first = this.model.playableFrom(ms);
    if (first) /* while the media element gets ready */
      this.fileOf(first).open(this.closing.signal, ms <= first.fromMs).catch(() => {});
    this.feeding = this.feeding.then(() => this.feedAll(ms, run.stop.signal)).catch(e => {
      if (e.name !== 'AbortError' && !run.stop.signal.aborted) {
        this.tell('problem', e.message);
        if (!(e instanceof FileError))
          console.warn('player:', e);
      }
    }).then(() => {
      if (this.run === run || !this.run)
        this.isMoving = false;
    });
  }

  async feedAll(ms, signal) {
    if (signal.aborted)
      return;
    await this.feed.open(signal);
    await this.feed.idle();
    let recording = this.model.playableFrom(ms);
    if (!recording) {
      this.run = null;
      return;
    }
    const seconds = Math.max(this.model.durationMs / 1000, 0.1) +
      (this.model.state === 'active' ? 86400 : 0);
    await this.feed.empty(seconds);
    const start = Math.max(ms, recording.fromMs);
    this.fedToMs = start;
    this.video.currentTime = start / 1000;
    this.isMoving = false;
    if (this.wantsPlay)
      this.video.play().catch(() => {});
    for (let from = start; recording; from = recording && recording.fromMs) {
      await this.feedRecording(recording, from - recording.fromMs, signal);
      recording = await this.nextRecording(recording, signal);
    }
    await this.feed.end();
  }

  /* The one behind it; of a running session it may have to be waited for. */
  async nextRecording(recording, signal) {
    for (;;) {
      const next = this.model.next(recording);
      if (next || this.model.state !== 'active')
        return next;
      await sleep(POLL_MS, signal);
    }
  }

  fileOf(recording) {
    let file = this.files.get(recording.id);
    if (!file) {
      file = this.openFile(recording);
      this.files.set(recording.id, file);
    }
    return file;
  }

  /* Tries again what will come later. */
  async patiently(signal, what) {
    for (let isLate = false; ; isLate = true) {
      try {
        const out = await what();
        if (isLate)
          this.tell('problem', null);
        return out;
      } catch (e) {
        if (!(e instanceof FileError) || !e.retryMs)
          throw e;
        this.tell('problem', e.message);
        await sleep(e.retryMs, signal);
      }
    }
  }

  async feedRecording(recording, fromMs, signal) {
    const file = this.fileOf(recording);
    this.fedId = recording.id;
    await this.patiently(signal, () => file.refresh(signal));
    if (fromMs > 0)
      await this.patiently(signal, () => file.loadCues(signal));
    let at = await this.beginFile(recording, file, fromMs, signal);
    this.shown().then(() => file.askManifest()); /* the picture comes first */
    /* Once frames were followed, a cluster may be there in part: a browser drops
     * what comes twice up to the next key frame, so only what is new is given. */
    let rest = null;
    const take = async (offset, bytes) => {
      if (rest) {
        await this.appendFrames(file, rest.push(bytes).frames, signal);
      } else {
        await this.feed.append(bytes, signal);
        file.reader.push(offset, bytes);
      }
      at = offset + bytes.length;
      this.fedToMs = recording.fromMs + file.lastFrameMs;
    };
    for (let bytes; !file.isGrowing && (bytes = await file.headFrom(at)).length > 0;)
      await take(at, bytes);
    for (;;) {
      if (at >= file.end) {
        if (!file.isGrowing)
          break;
        at = await this.follow(recording, file, at, signal);
        rest = new LiveClusters(at, file.readToMs);
        continue;
      }
      await this.waitForNeed(signal);
      const to = file.pieceEnd(at);
      await this.patiently(signal, () => file.read(at, to, signal, take));
      if (this.model.grow(recording.id, this.fedToMs))
        this.tell('model');
      await this.feed.forget(BEHIND_S);
      file.completeBlocks(signal).catch(() => {});
    }
  }

  /* Gives the header to the browser, and with it what has come of the clusters
   * behind it. Returns where to go on. */
  async beginFile(recording, file, fromMs, signal) {
    const {header, head} = file, from = file.offsetFor(fromMs);
    const end = from === header.length && !file.isGrowing ?
      Math.max(from, Math.min(head.length, file.end)) : header.length;
    await this.feed.begin(header.codec, recording.fromMs);
    file.startFrames(timeMs => this.feed.noteKey(recording.fromMs + timeMs));
    await this.feed.append(head.subarray(0, end), signal);
    if (end === header.length)
      return from;
    file.reader.push(from, head.subarray(from, end));
    this.fedToMs = recording.fromMs + file.lastFrameMs;
    return end;
  }

  async waitForNeed(signal) {
    const ahead = () => AHEAD_MS * Math.max(1, this.rate);
    while (this.fedToMs - this.positionMs > ahead())
      await sleep(100, signal);
  }

  /* Frames of a growing file as they come, or else what came after a while.
   * Returns where to go on. */
  async follow(recording, file, from, signal) {
    let at = from;
    await withPlace(() => whileVisible(signal, async visible => {
      at = await this.patiently(signal, () => file.follow(from, visible, frames =>
        this.takeLive(recording, file, frames, signal)));
    }));
    if (signal.aborted)
      throw stopped();
    await sleep(at === from ? POLL_MS : 0, signal);
    await this.patiently(signal, () => file.refresh(signal));
    if (this.model.grow(recording.id, recording.fromMs + file.durationMs))
      this.tell('model');
    return at;
  }

  async appendFrames(file, frames, signal) {
    if (frames.length > 0)
      await this.feed.append(join(frames.map(clusterOf)), signal);
    frames.forEach(f => file.noteFrame(f));
  }

  async takeLive(recording, file, frames, signal) {
    await this.appendFrames(file, frames, signal);
    this.fedToMs = recording.fromMs + file.lastFrameMs;
    if (this.isLive && this.isReady && !this.video.seeking)
      this.setLiveRate(this.positionMs);
    if (this.model.grow(recording.id, this.fedToMs))
      this.tell('model');
    await this.feed.forget(BEHIND_S);
    await this.waitForNeed(signal);
  }

  /* A newer answer of the server: files that are known go on. */
  setModel(model) {
    for (const r of model.recordings) {
      const file = this.files.get(r.id);
      if (file) {
        if (r.isGrowing)
          model.grow(r.id, this.model.endOf(file.recording));
        file.recording = r;
        file.askManifest();
      }
    }
    this.model = model;
    if (!this.run && model.playableFrom(this.targetMs))
      this.feedFrom(this.targetMs);
    this.tell('model');
  }

  /* ---- while it plays ---- */

  tick() {
    if (!this.isReady)
      return;
    if (this.video.seeking) {
      this.feed.leaveHole(this.fedToMs);
      return;
    }
    const now = this.positionMs, hole = this.feed.holeAt(now);
    this.nameGap(now, hole);
    if (this.isLive)
      this.keepLive(now);
    if (!this.wantsPlay)
      return;
    if (this.video.paused && !this.video.ended)
      this.video.play().catch(() => {});
    if (this.video.ended && this.model.state === 'ended') {
      this.wantsPlay = false;
      this.tell('change');
      return;
    }
    if (!this.passHole(hole) && !this.isLive && !this.passMonitor(now) && this.skipsIdle)
      this.passIdle(now);
  }

  /* The picture that is shown in a gap is the one before it: that is said. A
   * short gap passes like everything else, as browsers close small holes. */
  nameGap(now, hole) {
    const gap = this.model.at(hole ? hole[0] + 1 : now).gap || null;
    if (gap || performance.now() >= this.gapUntil)
      this.announce(gap);
  }

  announce(gap) {
    if (gap === this.passing)
      return;
    this.passing = gap;
    this.gapUntil = gap ? performance.now() + GAP_NOTICE_MS : 0;
    this.tell('gap', gap);
  }

  /* Playing continues behind a hole, once a gap has been named. */
  passHole(hole) {
    if (hole && (!this.passing || performance.now() >= this.gapUntil))
      this.video.currentTime = hole[1] / 1000 + 0.001;
    return hole !== null;
  }

  /* Only one monitor is wanted, and another one is shown here. */
  passMonitor(now) {
    const {recording} = this.model.at(now);
    if (!this.monitor || !recording || recording.monitor === this.monitor)
      return false;
    const next = this.model.recordings.find(r => r.fromMs > now && r.monitor === this.monitor);
    if (next)
      this.moveTo(next.fromMs);
    else
      this.pause();
    return true;
  }

  passIdle(now) {
    const to = this.model.idleEnd(now);
    if (to === null)
      return;
    this.tell('skipped', to - now);
    this.moveTo(to);
  }

  keepLive(now) {
    const lag = this.fedToMs - now;
    if (this.video.buffered.length > 0 && lag > LIVE_LAG_MS)
      this.video.currentTime = (this.fedToMs - LIVE_KEEP_MS) / 1000;
    else
      this.setLiveRate(now);
    if (this.model.state !== 'active')
      this.leaveLive();
  }

  leaveLive() {
    if (this.isLive)
      this.video.playbackRate = this.rate;
    this.isLive = false;
  }

  /* A frame is shown as soon as the position passes it. */
  setLiveRate(now) {
    const lag = this.fedToMs - now;
    const rate = lag > 400 ? 4 : lag > 100 ? 2 : lag > 0 ? 1.2 : 1;
    if (this.video.playbackRate !== rate)
      this.video.playbackRate = rate;
  }
}
