/* Hashes a recording's bytes as they are fetched and compares them with the
 * blocks of its manifest. Bytes may come in any order and before the manifest
 * does. No I/O. */
import {sha256, toHex} from './manifest.js';

const KEPT_MAX = 24 * 1024 * 1024; /* bytes whose block is not complete */

export class BlockCheck {
  /* onChange: something is good or bad by now. */
  constructor(onChange) {
    this.onChange = onChange;
    this.blocks = null;
    this.pieces = []; /* {offset, bytes}, by offset */
    this.kept = 0;
    this.pending = Promise.resolve();
  }

  /* blocks: of checkManifest(), in the order of the file. */
  setBlocks(blocks) {
    this.blocks = blocks.map(b => ({...b, state: 'unknown'}));
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
          b.state = toHex(await sha256(bytes)) === b.hash ? 'good' : 'bad';
          this.onChange(b);
        });
      }
    this.forget();
  }

  /* A block that cannot be read in full. */
  markBad(block) {
    block.state = 'bad';
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

  /* The first bad one by offset, or null. */
  firstBad() {
    return (this.blocks || []).find(b => b.state === 'bad') || null;
  }
}
