/* Hashes a recording's bytes as they are fetched and compares them with the
 * blocks of its manifest. Bytes may come in any order and before the manifest
 * does. No I/O. */
import {sha256, toHex} from './manifest.js';
import {clusterTime} from './webm.js';

const KEPT_MAX = 24 * 1024 * 1024; /* bytes whose block is not complete */

const whole = ({offset, length}) => ({offset, length, fromMs: null, toMs: null});

/* The clusters of a changed block that are not those of its list, or all of it. That
 * the block was changed its own hash says; the list says no more than where. */
async function changedPlaces(block, bytes) {
  const places = [];
  const part = c => bytes.subarray(c.offset - block.offset, c.offset - block.offset + c.length);
  for (const [i, c] of (block.clusters || []).entries()) {
    if (toHex(await sha256(part(c))).startsWith(c.hash))
      continue;
    const next = block.clusters[i + 1], toMs = next ? clusterTime(part(next)) : null;
    const fromMs = clusterTime(part(c)); /* it may be what was changed */
    places.push({offset: c.offset, length: c.length, toMs,
                 fromMs: fromMs !== null && toMs !== null && fromMs >= toMs ? null : fromMs});
  }
  return places.length > 0 ? places : [whole(block)];
}

export class BlockCheck {
  /* onChange: something is good or bad by now. */
  constructor(onChange) {
    this.onChange = onChange;
    this.blocks = null;
    this.pieces = []; /* {offset, bytes}, by offset */
    this.kept = 0;
    this.pending = Promise.resolve();
  }

  /* blocks: of checkManifest(), in the order of the file. A bad one gets places:
   * what of it was changed, {offset, length, fromMs, toMs}; times are null where
   * they cannot be told. */
  setBlocks(blocks) {
    this.blocks = blocks.map(b => ({...b, state: 'unknown', places: []}));
    this.check();
  }

  /* bytes: not changed afterwards. */
  add(offset, bytes) {
    if (bytes.length === 0)
      return;
    const at = this.pieces.findIndex(p => p.offset > offset);
    this.pieces.splice(at < 0 ? this.pieces.length : at, 0, {offset, bytes});
    this.kept += bytes.length;
    while (this.kept > KEPT_MAX)
      this.kept -= this.pieces.shift().bytes.length;
    if (this.blocks)
      this.check();
  }

  /* The block that has the byte; null: none, or there is no list. */
  blockAt(offset) {
    if (!this.blocks)
      return null;
    return this.blocks.find(b => offset >= b.offset && offset < b.offset + b.length) || null;
  }

  /* Where the first missing bytes of a block are: [from, to), or null. */
  missing(block) {
    let at = block.offset;
    const end = block.offset + block.length;
    for (const p of this.pieces) {
      if (p.offset > at)
        return [at, Math.min(p.offset, end)];
      at = Math.max(at, p.offset + p.bytes.length);
      if (at >= end)
        return null;
    }
    return [at, end];
  }

  bytesOf(block) {
    const out = new Uint8Array(block.length);
    for (const p of this.pieces) {
      const from = Math.max(p.offset, block.offset);
      const to = Math.min(p.offset + p.bytes.length, block.offset + block.length);
      if (from < to)
        out.set(p.bytes.subarray(from - p.offset, to - p.offset), from - block.offset);
    }
    return out;
  }

  check() {
    for (const b of this.blocks)
      if (b.state === 'unknown' && this.missing(b) === null) {
        const bytes = this.bytesOf(b);
        b.state = 'checking';
        this.pending = this.pending.then(async () => {
          const isGood = toHex(await sha256(bytes)) === b.hash;
          if (!isGood)
            b.places = await changedPlaces(b, bytes);
          b.state = isGood ? 'good' : 'bad';
          this.onChange(b);
        });
      }
    this.forget();
  }

  /* A block that cannot be read in full. */
  markBad(block) {
    block.state = 'bad';
    block.places = [whole(block)];
    this.onChange(block);
  }

  /* Pieces all of whose blocks are done. */
  forget() {
    this.pieces = this.pieces.filter(p => {
      const end = p.offset + p.bytes.length;
      const isNeeded = this.blocks.some(b => b.state === 'unknown' &&
        b.offset < end && b.offset + b.length > p.offset);
      if (!isNeeded)
        this.kept -= p.bytes.length;
      return isNeeded;
    });
  }

  /* The first place by offset that was changed, or null. */
  firstBad() {
    return (this.blocks || []).find(b => b.state === 'bad')?.places[0] || null;
  }
}
