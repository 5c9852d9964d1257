/*
 * Pictures of places that a pointer rests on: the frames from the key frame before
 * the place up to it are fetched and decoded (WebCodecs), beside what plays. They are
 * not checked against the manifest: they show where to look.
 */
import {LiveClusters} from './live_clusters.js';
import {FileError} from './recording_file.js';
import {sleep} from './stop.js';

const REST_MS = 150;              /* so long it rests before something is asked for */
const BYTES_MAX = 4 * 1024 * 1024; /* for one picture; the last one within them counts */
const KEPT_MAX = 300;             /* pictures */
const WIDTH = 320;                /* twice what is shown, for screens that are finer */

/* Profile 0 of any size, as recorders write it. */
const CODECS = {vp8: 'vp8', vp9: 'vp09.00.62.08'};

/* The last of frames ([{timeMs, isKey, data}], the first a key frame) as a picture's
 * URL. */
async function paint(codec, frames) {
  let shown = null, problem = null;
  const decoder = new VideoDecoder({
    output: frame => {
      shown?.close();
      shown = frame;
    },
    error: e => { problem = e; },
  });
  try {
    decoder.configure({codec: CODECS[codec], optimizeForLatency: true});
    for (const f of frames)
      decoder.decode(new EncodedVideoChunk({
        type: f.isKey ? 'key' : 'delta', timestamp: f.timeMs * 1000, data: f.data}));
    await decoder.flush();
    if (!shown)
      throw problem || new Error('no picture');
    const canvas = document.createElement('canvas');
    canvas.width = Math.min(WIDTH, shown.displayWidth);
    canvas.height = Math.max(1, Math.round(canvas.width * shown.displayHeight / shown.displayWidth));
    canvas.getContext('2d').drawImage(shown, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL('image/jpeg', 0.8);
  } finally {
    shown?.close();
    if (decoder.state !== 'closed')
      decoder.close();
  }
}

export class HoverFrames {
  /* openFile(recording): a RecordingFile, also one that plays. */
  constructor(openFile) {
    this.openFile = openFile;
    this.kept = [];       /* {id, fromMs, toMs, url}, of the recording; the oldest first */
    this.stop = null;     /* of what is wanted now */
    this.usedId = null;   /* recording that was read last */
  }

  static isPossible() {
    return typeof VideoDecoder === 'function';
  }

  close() {
    this.stop?.abort();
  }

  /* The picture of a place, or null. ms: of the recording. */
  get(id, ms) {
    return this.kept.find(k => k.id === id && ms >= k.fromMs && ms < k.toMs)?.url ?? null;
  }

  /* The pointer came to a place: calls done() when get() has its picture. Only the last
   * call counts. A picture that cannot be made is left out without a message. */
  async want(recording, ms, done) {
    this.stop?.abort();
    const stop = this.stop = new AbortController();
    try {
      await sleep(REST_MS, stop.signal);
      const found = await this.read(recording, ms, stop.signal);
      const url = found && await paint(found.codec, found.frames);
      if (!url)
        return;
      this.keep({id: recording.id, fromMs: found.frames.at(-1).timeMs, toMs: found.toMs, url});
      if (!stop.signal.aborted)
        done();
    } catch (e) {
      if (e.name !== 'AbortError' && !(e instanceof FileError))
        console.debug('player: no picture of', ms, e);
    }
  }

  keep(picture) {
    this.kept.push(picture);
    if (this.kept.length > KEPT_MAX)
      this.kept.shift();
  }

  /* {codec, frames up to ms, toMs: how long the last one is shown}; null: none. */
  async read(recording, ms, signal) {
    const file = this.openFile(recording);
    this.usedId = recording.id;
    await file.open(undefined, false);
    await file.loadCues(); /* without the signal: what plays may wait for it, too */
    const from = file.offsetFor(ms);
    if (signal.aborted || from >= file.end)
      return null;
    const clusters = new LiveClusters(from, -1), frames = [];
    let next = null;
    await file.peek(from, Math.min(file.end, from + BYTES_MAX), signal, bytes => {
      for (const f of clusters.push(bytes).frames)
        if (f.timeMs <= ms)
          frames.push(f);
        else
          next ??= f.timeMs;
      return next === null;
    });
    return frames.length > 0 && frames[0].isKey ?
      {codec: file.header.codec, frames, toMs: next ?? ms + 1} : null;
  }
}
