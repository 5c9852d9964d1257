/* Frames of a file that grows, as they come, also of its open cluster. A
 * browser keeps the last frame of a cluster back until it knows its length, so
 * each frame is given to it as a cluster of its own, with a length. No I/O. */
import {ID, children, element, isRepeat, uint} from './webm.js';

const HEAD = 12;             /* of a cluster: id and a size of 8 bytes */
const FRAME_MS = 2100;       /* more than from one repeat to the next */

export function join(pieces) {
  const out = new Uint8Array(pieces.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of pieces) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

export class LiveClusters {
  /* at: offset of a cluster; sinceMs: frames up to there are known. */
  constructor(at, sinceMs) {
    this.at = at;         /* of the first byte of rest */
    this.openAt = at;     /* where to go on when the connection breaks */
    this.sinceMs = sinceMs;
    this.rest = new Uint8Array(0);
    this.cluster = null;  /* {offset, timeMs, pieces} */
    this.isOver = false;  /* the clusters ended */
  }

  /*
   * Returns what is whole by now: {frames: [{timeMs, offset: of its cluster,
   * isKey, isRepeat, durationMs, data}], closed: [{offset, bytes}], clusters as
   * they are in the file once they are closed}.
   */
  push(bytes) {
    const out = {frames: [], closed: []};
    this.rest = join([this.rest, bytes]);
    let at = 0;
    while (!this.isOver) {
      const e = element(this.rest, at);
      const opens = e !== null && e.id === ID.cluster;
      if (!e || (!opens && e.id !== ID.cues && (e.end === null || e.end > this.rest.length)))
        break;
      if (opens || e.id === ID.cues) {
        this.close(out.closed, this.at + at);
        this.isOver = !opens;
        this.cluster = opens ? {offset: this.at + at, timeMs: null, pieces: []} : null;
      } else {
        this.take(e, out.frames);
      }
      const next = opens ? e.data : e.end;
      if (this.cluster)
        this.cluster.pieces.push(this.rest.slice(at, next));
      at = next;
    }
    this.rest = this.rest.slice(at);
    this.at += at;
    return out;
  }

  /* The size that the recorder writes into the head. */
  close(closed, end) {
    this.openAt = end;
    if (!this.cluster)
      return;
    const bytes = join(this.cluster.pieces);
    new DataView(bytes.buffer).setBigUint64(4, (1n << 56n) | BigInt(bytes.length - HEAD));
    closed.push({offset: this.cluster.offset, bytes});
  }

  take(e, frames) {
    const c = this.cluster;
    if (!c)
      return;
    if (e.id === ID.timecode) {
      c.timeMs = uint(this.rest, e);
      return;
    }
    const block = {e, isKey: null, durationMs: null};
    if (e.id === ID.blockGroup)
      this.group(block);
    if ((e.id !== ID.simpleBlock && e.id !== ID.blockGroup) || c.timeMs === null ||
        block.e.end - block.e.data < 5)
      return;
    const b = this.rest, at = block.e.data + 1; /* behind the track's number */
    const timeMs = c.timeMs + ((b[at] << 24 >> 16) | b[at + 1]);
    if (timeMs <= this.sinceMs)
      return;
    this.sinceMs = timeMs;
    const data = b.slice(at + 3, block.e.end);
    frames.push({timeMs, offset: c.offset, isKey: block.isKey ?? (b[at + 2] & 0x80) !== 0,
                 isRepeat: isRepeat(data), durationMs: block.durationMs, data});
  }

  group(block) {
    const {e} = block;
    block.isKey = true;
    for (const c of children(this.rest, e.data, e.end)) {
      if (c.id === ID.block)
        block.e = c;
      else if (c.id === ID.blockDuration)
        block.durationMs = uint(this.rest, c);
      else if (c.id === ID.reference)
        block.isKey = false;
    }
  }
}

const number = (n, bytes) => Array.from({length: bytes}, (_, i) =>
  Math.floor(n / 256 ** (bytes - 1 - i)) % 256);
const sized = (id, n) => [...id, 0x01, ...number(n, 7)];

/* A cluster of one frame. */
export function clusterOf(frame) {
  const block = frame.data.length + 4;
  const behind = [0x9B, 0x84, ...number(frame.durationMs ?? FRAME_MS, 4),
    ...(frame.isKey ? [] : [0xFB, 0x81, 0xFF])];
  const group = 9 + block + behind.length;
  return join([
    Uint8Array.from([...sized([0x1F, 0x43, 0xB6, 0x75], 10 + 9 + group),
      0xE7, 0x88, ...number(frame.timeMs, 8), ...sized([0xA0], group),
      ...sized([0xA1], block), 0x81, 0, 0, 0]),
    frame.data, Uint8Array.from(behind)]);
}
