/* One recording as the player reads it: ranges by signed links, header, cues,
 * and its check against the manifest. */
import {BlockCheck} from './block_check.js';
import {checkManifestAside} from './manifest_aside.js';
import {LiveClusters, join} from './live_clusters.js';
import {timesOf} from './place_times.js';
import {explainRefusal} from './storage_reach.js';
import {FrameReader, readCues, readHeader} from './webm.js';

const HEAD_BYTES = 64 * 1024;    /* of the first request */
const START_BYTES = 256 * 1024;  /* the same with the first picture, if it is wanted */
const PIECE_BYTES = 512 * 1024;  /* of a request without a list of blocks */
const JUST_BEGUN = 'The recording has just begun; nothing can be shown yet.';
const CUES_MAX = 8 * 1024 * 1024;
const LINK_RETRY_MS = 5000;
const SILENCE_MS = 20000; /* a recorder writes a frame each second */

export class FileError extends Error {
  constructor(status, message, retryMs) {
    super(message);
    this.status = status;
    this.retryMs = retryMs; /* 0: it is of no use */
  }
}

export class RecordingFile {
  /* recording: of TimelineModel; api: {manifest(id)}; onCheck(file): the check
   * knows more. */
  constructor(recording, links, api, onCheck) {
    this.recording = recording;
    this.id = recording.id;
    this.links = links;
    this.api = api;
    this.check = new BlockCheck(() => this.onCheck(this));
    this.onCheck = onCheck;
    this.problem = null;   /* of the manifest; null: none, or not known yet */
    this.isManifestAsked = false;
    this.opening = null;   /* promise, while it is being opened */
    this.header = null;
    this.head = null;      /* the first bytes, as far as they have come */
    this.isHeadComing = false;
    this.onHead = () => {};
    this.size = 0;         /* as far as it is there */
    this.isSizeFinal = false;
    this.isGrowing = recording.isGrowing;
    this.durationMs = 0;   /* of what grows, as far as it is there */
    this.cues = [];
    this.clusters = [];    /* [offset, timeMs] as they were read, by offset */
    this.frames = [];      /* milliseconds of the recording, without repeats */
    this.reader = null;
    this.silenceMs = SILENCE_MS;
  }

  /* ---- requests ---- */

  /* A console that does not answer, or is busy, is asked again later. */
  async link() {
    try {
      return await this.links.url(this.id);
    } catch (e) {
      const isLater = e.status === 0 || e.status === 429 || e.status >= 500;
      throw new FileError(e.status, e.message || 'The console does not answer.',
        isLater ? LINK_RETRY_MS : 0);
    }
  }

  async request(range, signal, path = '', query = '') {
    for (let tries = 0; ; tries++) {
      /* without a wait where there is one: the page is drawn in it */
      let url = (this.links.here(this.id) ?? await this.link()) + query;
      if (path)
        url = url.replace('.webm?', '.webm' + path + '?');
      let r;
      try {
        r = await fetch(url, {headers: range ? {Range: range} : {}, signal,
                              credentials: 'omit', cache: 'no-store'});
      } catch (e) {
        if (signal && signal.aborted)
          throw e;
        throw new FileError(0, await explainRefusal(url), 5000);
      }
      if (r.ok || r.status === 416)
        return r;
      /* the link died, or the file went from its node to the store */
      if ((r.status === 403 || r.status === 404) && tries === 0) {
        this.links.forget(this.id);
        continue;
      }
      const wait = Number(r.headers.get('Retry-After')) || (r.status >= 500 ? 2 : 0);
      throw new FileError(r.status, (await r.text()).trim(), wait * 1000);
    }
  }

  /* wasGrowing: when it was asked for. What a growing file holds is told by its
   * index: once it is closed, an answer counts its cues as well. */
  noteSize(r, wasGrowing) {
    const total = /\/(\d+)$/.exec(r.headers.get('Content-Range') || '');
    if (!total || wasGrowing)
      return;
    this.size = Number(total[1]);
    this.isSizeFinal = true;
  }

  /* The bytes from `from` up to `to`, as they come: calls take(offset, bytes).
   * Fewer where the file ends. */
  async read(from, to, signal, take) {
    const wasGrowing = this.isGrowing;
    const r = await this.request(`bytes=${from}-${to - 1}`, signal);
    this.noteSize(r, wasGrowing);
    if (r.status === 416)
      return;
    if (r.status !== 206)
      throw new FileError(r.status, 'The storage server gives no ranges.', 0);
    const body = r.body.getReader();
    let at = from;
    for (;;) {
      const {done, value} = await body.read();
      if (done)
        return;
      /* the header changes once more, when the file is closed */
      if (!this.isGrowing || (this.header && at >= this.header.length))
        this.check.add(at, value);
      await take(at, value);
      at += value.length;
    }
  }

  /* The bytes from `from` up to `to` as they come, of which nothing is kept or checked:
   * calls take(bytes) until it returns false. */
  async peek(from, to, signal, take) {
    const r = await this.request(`bytes=${from}-${to - 1}`, signal);
    if (r.status !== 206) {
      await r.body?.cancel();
      return;
    }
    const body = r.body.getReader();
    try {
      for (;;) {
        const {done, value} = await body.read();
        if (done || !take(value))
          return;
      }
    } finally {
      body.cancel().catch(() => {});
    }
  }

  /*
   * Frames of a file that grows as they come, from the cluster at `from` on:
   * calls take(frames), of LiveClusters. Ends when the file is closed, the
   * connection breaks or is silent for long, or the signal is given. Returns
   * where the last cluster ends that was seen to its end.
   */
  async follow(from, signal, take) {
    const live = new LiveClusters(from, this.readToMs);
    let r;
    try {
      r = await this.request(`bytes=${from}-`, signal, '', `&frames=1&from=${from}`);
    } catch (e) {
      if (signal.aborted || await this.isStored())
        return from;
      throw e;
    }
    if (r.status !== 200) { /* it was closed meanwhile */
      await r.body?.cancel();
      return from;
    }
    const body = r.body.getReader();
    try {
      while (!live.isOver) {
        const {done, value} = await this.nextBytes(body);
        if (done)
          break;
        const {frames, closed} = live.push(value);
        for (const c of closed)
          this.check.add(c.offset, c.bytes);
        if (frames.length > 0)
          await take(frames);
      }
    } finally {
      body.cancel().catch(() => {});
    }
    return live.openAt;
  }

  /* As read(); a connection that is silent for long counts as broken: a network
   * may be gone without a word. */
  async nextBytes(body) {
    let timer;
    const late = new Promise(done => {
      timer = setTimeout(() => done({done: true}), this.silenceMs);
    });
    const bytes = body.read().catch(() => ({done: true}));
    return Promise.race([bytes, late]).finally(() => clearTimeout(timer));
  }

  async readAll(from, to, signal) {
    const pieces = [];
    await this.read(from, to, signal, (offset, bytes) => { pieces.push(bytes); });
    return join(pieces);
  }

  /* ---- opening ---- */

  /* Reads the header. Of a file that grows nothing is asked for before it is
   * known to be there: a range behind its end is an error (416), which browsers
   * log. isFromStart: it will be shown from its start on. */
  open(signal, isFromStart = true) {
    if (this.header)
      return Promise.resolve();
    if (!this.opening)
      this.opening = this.openNow(signal, isFromStart).finally(() => { this.opening = null; });
    return this.opening;
  }

  async openNow(signal, isFromStart) {
    if (this.isGrowing)
      await this.lookAtGrowing(signal);
    if (this.isGrowing && this.size === 0)
      throw new FileError(0, JUST_BEGUN, 1000);
    await this.readHead(signal, isFromStart);
  }

  /* The same; of a file that grows what came since, and once it is closed its
   * new header, which says where the cues are. */
  async refresh(signal) {
    if (!this.header) {
      await this.open(signal);
    } else if (this.isGrowing) {
      await this.lookAtGrowing(signal);
      if (!this.isGrowing)
        await this.readHead(signal);
    }
  }

  /* Resolves with the header; the bytes behind it come meanwhile. */
  readHead(signal, isFromStart = false) {
    const most = isFromStart ? START_BYTES : HEAD_BYTES;
    const end = this.isGrowing ? Math.min(most, this.size) : most;
    let header = null;
    this.head = new Uint8Array(0);
    this.isHeadComing = true;
    return new Promise((done, fail) => {
      const take = (offset, bytes) => {
        this.head = join([this.head, bytes]);
        header = header || readHeader(this.head);
        if (header) {
          this.header = header;
          done();
        }
        this.onHead();
      };
      this.read(0, end, signal, take).then(() => {
        if (!header)
          throw new FileError(0, JUST_BEGUN, 1000);
      }).catch(fail).finally(() => {
        this.isHeadComing = false;
        this.onHead();
      });
    });
  }

  /* The first bytes from `at` on, up to where clusters end; waits until there are
   * some. None: these are all. */
  async headFrom(at) {
    while (at >= this.head.length && this.isHeadComing)
      await new Promise(done => { this.onHead = done; });
    return this.head.subarray(at, Math.max(at, Math.min(this.head.length, this.end)));
  }

  askManifest() {
    if (this.isManifestAsked || this.recording.status !== 'available')
      return;
    this.isManifestAsked = true;
    this.loadManifest().catch(() => { this.problem = 'unreachable'; })
      .then(() => this.onCheck(this));
  }

  async loadManifest() {
    const about = await this.api.manifest(this.id);
    if (!about.url) {
      this.problem = 'unsigned';
      return;
    }
    const r = await fetch(about.url, {credentials: 'omit', cache: 'no-store'});
    if (!r.ok)
      throw new FileError(r.status, 'no manifest', 0);
    const found = await checkManifestAside(await r.text(), this.id, about.key);
    this.problem = found.problem;
    if (found.blocks) {
      this.check.setBlocks(found.blocks);
      await this.completeBlocks();
    }
  }

  /* Cues, where they are needed. What grows has those of the last look. */
  async loadCues(signal) {
    if (!this.isGrowing && this.cues.length === 0 && this.header.cuesAt !== null)
      this.cues = readCues(await this.readAll(this.header.cuesAt,
        Math.min(this.size, this.header.cuesAt + CUES_MAX), signal), this.header.segmentData);
  }

  /* A link that leads to the object store means that it was closed and stored. */
  async isStored() {
    return (await this.link()).includes('X-Amz-Signature=');
  }

  /* What the storage server says of a file that grows. */
  async lookAtGrowing(signal) {
    let r = null;
    if (!await this.isStored())
      try {
        r = await this.request(null, signal, '/index.json');
      } catch (e) {
        if (!await this.isStored())
          throw e;
      }
    if (!r) {
      this.isGrowing = false;
      return;
    }
    const index = await r.json();
    this.size = Math.max(this.size, index.bytes);
    this.isGrowing = index.growing;
    this.durationMs = index.duration_ms;
    this.cues = index.cues.map(([timeMs, offset]) => ({timeMs, offset}));
  }

  /* ---- places ---- */

  /* Where clusters end: at the cues, or as far as it is there. */
  get end() {
    return !this.isGrowing && this.header && this.header.cuesAt ? this.header.cuesAt : this.size;
  }

  /* The cluster to begin with for a time: of the key frame before it. */
  offsetFor(timeMs) {
    let offset = this.header.length;
    for (const c of this.cues)
      if (c.timeMs <= timeMs)
        offset = Math.max(offset, c.offset);
    return offset;
  }

  /* How far one request from `offset` goes: a block, so that it can be checked
   * as soon as it is there. */
  pieceEnd(offset) {
    const block = this.check.blockAt(offset);
    return Math.min(block ? block.offset + block.length : offset + PIECE_BYTES, this.end);
  }

  /* ---- frames ---- */

  /* Frames are read from here on; onKey gets the times of key frames. */
  startFrames(onKey) {
    this.onKey = onKey;
    this.reader = new FrameReader(f => this.noteFrame(f));
    this.frames = [];
    this.clusters = [];
    this.lastFrameMs = 0;
  }

  /* The last frame that was read; -1: none. */
  get readToMs() {
    return this.frames.length > 0 ? this.lastFrameMs : -1;
  }

  noteFrame(f) {
    if (f.isKey && !f.isRepeat)
      this.onKey(f.timeMs);
    const last = this.clusters[this.clusters.length - 1];
    if (!last || last[0] < f.offset)
      this.clusters.push([f.offset, f.timeMs]);
    if (!f.isRepeat)
      this.frames.push(f.timeMs);
    this.lastFrameMs = f.timeMs;
  }

  /* As timesOf() of place_times.js. */
  timesOf(place) {
    return timesOf(this, place);
  }

  /* Fetches what is missing of blocks that were begun, so that they can be
   * checked too. */
  async completeBlocks(signal) {
    if (this.isCompleting)
      return;
    this.isCompleting = true;
    try {
      await this.fetchMissing(signal);
    } finally {
      this.isCompleting = false;
    }
  }

  async fetchMissing(signal) {
    if (this.isGrowing && this.check.blocks) /* then it is closed by now */
      await this.refresh(signal).catch(() => {});
    for (const b of this.check.blocks || []) {
      const missing = b.state === 'unknown' ? this.check.missing(b) : null;
      const isBegun = missing && (missing[0] > b.offset || missing[1] < b.offset + b.length);
      if (isBegun && missing[0] >= this.size && this.isSizeFinal)
        this.check.markBad(b); /* the file was cut off */
      else if (isBegun && missing[0] < this.size)
        await this.read(missing[0], missing[1], signal, () => {});
    }
  }
}
