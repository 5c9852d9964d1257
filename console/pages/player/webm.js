/* What the player reads of a WebM file (docs/webm.md): the header, the cues,
 * and the times of frames. Takes bytes, does no I/O. Throws nothing: what
 * cannot be read is not there. */

/* Of a block before its frame: the track's number, time, flags. */
const BLOCK_HEAD = 4;

export const ID = {
  ebml: 0x1A45DFA3, segment: 0x18538067, seekHead: 0x114D9B74, seek: 0x4DBB,
  seekId: 0x53AB, seekPosition: 0x53AC, info: 0x1549A966, duration: 0x4489,
  tracks: 0x1654AE6B, track: 0xAE, codec: 0x86, cluster: 0x1F43B675,
  cues: 0x1C53BB6B, cuePoint: 0xBB, cueTime: 0xB3, cueTrack: 0xB7,
  cuePosition: 0xF1, timecode: 0xE7, simpleBlock: 0xA3, blockGroup: 0xA0,
  block: 0xA1, blockDuration: 0x9B, reference: 0xFB,
};

/* A variable-length number at `at`: [value, bytes], or null. keepMarker: an
 * element's id keeps its length bits. An unknown size is null as the value. */
function vint(bytes, at, keepMarker) {
  const first = bytes[at];
  if (first === undefined || first === 0)
    return null;
  let length = 1;
  while (!(first & (0x80 >> (length - 1))))
    length++;
  if (at + length > bytes.length)
    return null;
  let value = keepMarker ? first : first & (0xFF >> length);
  let allSet = !keepMarker && value === (0xFF >> length);
  for (let i = 1; i < length; i++) {
    value = value * 256 + bytes[at + i];
    allSet = allSet && bytes[at + i] === 0xFF;
  }
  return [allSet ? null : value, length];
}

/* The element at `at`: {id, data, end}; end is null for an unknown size. */
export function element(bytes, at) {
  const id = vint(bytes, at, true);
  if (!id)
    return null;
  const size = vint(bytes, at + id[1], false);
  if (!size)
    return null;
  const data = at + id[1] + size[1];
  return {id: id[0], data, end: size[0] === null ? null : data + size[0]};
}

/* Children of a range that is there in full. */
export function* children(bytes, from, to) {
  let at = from;
  while (at < to) {
    const e = element(bytes, at);
    if (!e || e.end === null || e.end > to)
      return;
    yield e;
    at = e.end;
  }
}

export function uint(bytes, e) {
  let value = 0;
  for (let i = e.data; i < e.end; i++)
    value = value * 256 + bytes[i];
  return value;
}

function text(bytes, e) {
  return String.fromCharCode(...bytes.subarray(e.data, e.end)).replace(/\0+$/, '');
}

function readSeek(bytes, e, header) {
  let id = 0, position = null;
  for (const c of children(bytes, e.data, e.end)) {
    if (c.id === ID.seekId)
      id = uint(bytes, c);
    else if (c.id === ID.seekPosition)
      position = uint(bytes, c);
  }
  if (id === ID.cues && position !== null)
    header.cuesAt = header.segmentData + position;
}

function readHeaderPart(bytes, e, header) {
  for (const c of children(bytes, e.data, e.end)) {
    if (e.id === ID.seekHead && c.id === ID.seek)
      readSeek(bytes, c, header);
    else if (e.id === ID.info && c.id === ID.duration && c.end - c.data === 8)
      header.durationMs = new DataView(bytes.buffer, bytes.byteOffset + c.data, 8).getFloat64(0);
    else if (e.id === ID.tracks && c.id === ID.track)
      for (const t of children(bytes, c.data, c.end))
        if (t.id === ID.codec)
          header.codec = text(bytes, t) === 'V_VP8' ? 'vp8' : 'vp9';
  }
}

/*
 * The header, given the file's first bytes. Returns null while they are too
 * few: {length: bytes of the header, segmentData: offset that positions count
 * from, cuesAt: offset of the cues or null, durationMs or null, codec}.
 */
export function readHeader(bytes) {
  const ebml = element(bytes, 0);
  if (!ebml || ebml.id !== ID.ebml || ebml.end === null)
    return null;
  const segment = element(bytes, ebml.end);
  if (!segment || segment.id !== ID.segment)
    return null;
  const header = {length: 0, segmentData: segment.data, cuesAt: null,
                  durationMs: null, codec: 'vp9'};
  for (let at = segment.data;;) {
    const e = element(bytes, at);
    if (!e)
      return null;
    if (e.id === ID.cluster || e.id === ID.cues) {
      header.length = at;
      return header;
    }
    if (e.end === null || e.end > bytes.length)
      return null;
    readHeaderPart(bytes, e, header);
    at = e.end;
  }
}

/* [{timeMs, offset}] of the Cues element that bytes begin with. */
export function readCues(bytes, segmentData) {
  const cues = element(bytes, 0), out = [];
  if (!cues || cues.id !== ID.cues)
    return out;
  for (const point of children(bytes, cues.data, Math.min(cues.end, bytes.length))) {
    if (point.id !== ID.cuePoint)
      continue;
    let timeMs = null, offset = null;
    for (const c of children(bytes, point.data, point.end)) {
      if (c.id === ID.cueTime)
        timeMs = uint(bytes, c);
      else if (c.id === ID.cueTrack)
        for (const t of children(bytes, c.data, c.end))
          if (t.id === ID.cuePosition)
            offset = segmentData + uint(bytes, t);
    }
    if (timeMs !== null && offset !== null)
      out.push({timeMs, offset});
  }
  return out;
}

/* Milliseconds of the cluster that bytes begin with, or null. */
export function clusterTime(bytes) {
  const cluster = element(bytes, 0);
  const time = cluster?.id === ID.cluster ? element(bytes, cluster.data) : null;
  return time?.id === ID.timecode && time.end !== null && time.end - time.data <= 6 &&
    time.end <= bytes.length ? uint(bytes, time) : null;
}

/*
 * Follows the clusters of a file through pieces of any length, the first of
 * which begins at a cluster. onFrame gets {timeMs, offset: of its cluster,
 * isKey, isRepeat: of the picture before}.
 */
export class FrameReader {
  constructor(onFrame) {
    this.onFrame = onFrame;
    this.rest = new Uint8Array(0);
    this.restAt = 0;
    this.cluster = null;
    this.skip = 0;
  }

  push(offset, bytes) {
    if (this.rest.length === 0) {
      this.restAt = offset;
      this.rest = bytes;
    } else {
      const joined = new Uint8Array(this.rest.length + bytes.length);
      joined.set(this.rest);
      joined.set(bytes, this.rest.length);
      this.rest = joined;
    }
    let at = Math.min(this.skip, this.rest.length);
    this.skip -= at;
    while (this.skip === 0) {
      const used = this.step(at);
      if (used === 0)
        break;
      at += used;
      if (at > this.rest.length) {
        this.skip = at - this.rest.length;
        at = this.rest.length;
      }
    }
    this.rest = this.rest.slice(at);
    this.restAt += at;
  }

  /* One element at `at`; how far it leads; 0: not all that is needed is there. */
  step(at) {
    const e = element(this.rest, at);
    if (!e)
      return 0;
    if (e.id === ID.cluster) {
      this.cluster = {offset: this.restAt + at, timeMs: null};
      return e.data - at;
    }
    if (e.end === null)
      return 0;
    if (e.id === ID.timecode) {
      if (e.end > this.rest.length)
        return 0;
      if (this.cluster)
        this.cluster.timeMs = uint(this.rest, e);
    } else if (e.id === ID.blockGroup) {
      return e.data - at;
    } else if (e.id === ID.simpleBlock || e.id === ID.block) {
      if (Math.min(e.data + BLOCK_HEAD + 3, e.end) > this.rest.length)
        return 0;
      this.frame(e);
    }
    return e.end - at;
  }

  frame(e) {
    const b = this.rest, at = e.data + 1; /* behind the track's number */
    const relative = (b[at] << 24 >> 16) | b[at + 1];
    if (this.cluster && this.cluster.timeMs !== null)
      this.onFrame({timeMs: this.cluster.timeMs + relative, offset: this.cluster.offset,
                    isKey: (b[at + 2] & 0x80) !== 0,
                    isRepeat: isRepeat(b.subarray(e.data + BLOCK_HEAD, e.end))});
  }
}

/*
 * Whether a VP9 frame shows the one before once more: it says so
 * (show_existing_frame), or it is no key frame and replaces no reference
 * (refresh_frame_flags 0). At least 3 of its bytes, if it has them.
 */
export function isRepeat(frame) {
  if ((frame[0] & 0xf8) === 0x88)
    return true;
  return frame[0] === 0x86 && (frame[1] & 0x3f) === 0 && (frame[2] & 0xc0) === 0;
}
