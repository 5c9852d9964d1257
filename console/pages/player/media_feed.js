/*
 * A video element fed through a MediaSource: one buffer, in which pieces of
 * several files follow each other at times of the caller's. Its operations are
 * asynchronous and one at a time; callers wait for each.
 */
import {sleep, stopped} from './stop.js';

const STUCK_MS = 10000; /* of a media element that failed */

export class MediaFeed {
  constructor(video) {
    this.video = video;
    this.media = null;
    this.buffer = null;
    this.rate = 1;
    this.keys = [];     /* positions of the key frames that are buffered */
  }

  close() {
    if (this.url)
      URL.revokeObjectURL(this.url);
    this.video.removeAttribute('src');
  }

  /* After an error: open() begins with another one. */
  drop() {
    this.media = null;
  }

  get isOpen() {
    return this.media !== null && this.media.readyState !== 'closed';
  }

  setRate(rate) {
    this.rate = rate;
    this.video.playbackRate = rate;
  }

  async open(signal) {
    if (this.isOpen && this.buffer)
      return;
    const media = new MediaSource();
    this.media = media;
    this.buffer = null;
    if (this.url)
      URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(media);
    this.video.src = this.url;
    await new Promise(done => {
      media.addEventListener('sourceopen', done, {once: true});
      signal.addEventListener('abort', done, {once: true});
    });
    if (signal.aborted) {
      this.media = null;
      throw stopped();
    }
    this.codec = 'vp9';
    this.buffer = media.addSourceBuffer('video/webm; codecs="vp9"');
    this.video.playbackRate = this.rate;
  }

  /* Waits until the buffer can be changed. */
  async idle() {
    const b = this.buffer;
    if (b.updating)
      await new Promise(done => {
        b.addEventListener('updateend', done, {once: true});
        setTimeout(done, STUCK_MS);
      });
  }

  async change(what) {
    await this.idle();
    what(this.buffer);
    await this.idle();
  }

  /* What was being appended is given up. */
  abort() {
    if (this.media.readyState === 'open')
      this.buffer.abort();
  }

  lengthen(seconds) {
    if (this.media.readyState === 'open' && !(this.media.duration >= seconds))
      this.media.duration = seconds;
  }

  /* Nothing is buffered afterwards. seconds: the whole is as long as that. */
  async empty(seconds) {
    this.abort();
    this.lengthen(seconds);
    this.keys = [];
    if (this.video.buffered.length > 0)
      await this.change(b => b.remove(0, Infinity));
    this.lengthen(seconds);
  }

  /* A file follows, whose times begin at a position. */
  async begin(codec, fromMs) {
    await this.idle();
    this.abort();
    if (codec !== this.codec) {
      this.buffer.changeType(`video/webm; codecs="${codec}"`);
      this.codec = codec;
    }
    this.buffer.timestampOffset = fromMs / 1000;
  }

  noteKey(ms) {
    this.keys.push(ms);
  }

  async append(bytes, signal) {
    for (;;) {
      if (signal.aborted)
        throw stopped();
      try {
        await this.change(b => b.appendBuffer(bytes));
        return;
      } catch (e) {
        if (e.name !== 'QuotaExceededError')
          throw e;
        await this.forget(5);
        await sleep(500, signal);
      }
    }
  }

  /* Nothing follows. */
  async end() {
    await this.idle();
    if (this.media.readyState === 'open')
      this.media.endOfStream();
  }

  /* Lets go what is more than `seconds` behind the position, up to a key frame:
   * with a frame go all that build on it, and they may be what is shown. */
  async forget(seconds) {
    const limit = this.video.currentTime * 1000 - seconds * 1000;
    const b = this.video.buffered;
    const key = this.keys.filter(ms => ms <= limit).pop();
    if (key !== undefined && b.length > 0 && b.start(0) * 1000 < key - 5000) {
      this.keys = this.keys.filter(ms => ms >= key);
      await this.change(x => x.remove(0, key / 1000 - 0.0005));
    }
  }

  /* ---- what is buffered ---- */

  isBuffered(ms) {
    if (!this.isOpen || this.video.readyState === 0)
      return false; /* asking an element that gets ready for its ranges takes milliseconds */
    const b = this.video.buffered, t = ms / 1000;
    for (let i = 0; i < b.length; i++)
      if (t >= b.start(i) && t < b.end(i))
        return true;
    return false;
  }

  /* A seek to where nothing will come, such as the moment before a file's first
   * picture, ends at what follows. fedToMs: how far it was fed. */
  leaveHole(fedToMs) {
    const now = this.video.currentTime * 1000, b = this.video.buffered;
    for (let i = 0; i < b.length && !this.isBuffered(now); i++)
      if (b.start(i) * 1000 > now && fedToMs > b.start(i) * 1000) {
        this.video.currentTime = b.start(i) + 0.001;
        return;
      }
  }

  /* What is buffered ends here, and there is more behind a hole: [end, start] of
   * the hole in milliseconds; null: it plays on. Without data for the next
   * picture a browser stops up to a second early. */
  holeAt(now) {
    const b = this.video.buffered, t = now / 1000;
    const early = this.video.readyState <= 2 ? 1.5 : 0.06;
    for (let i = 0; i + 1 < b.length; i++)
      if (t >= b.end(i) - early && t < b.start(i + 1))
        return [b.end(i) * 1000, b.start(i + 1) * 1000];
    return null;
  }
}
