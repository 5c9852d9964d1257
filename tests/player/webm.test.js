/* Frames of clusters: their times, and which show the picture before once more. */
import assert from 'node:assert';
import {test} from 'node:test';
import {FrameReader} from '../webm.js';

/* Heads of real frames; the rest does not matter. */
const KEY = [0x82, 0x49, 0x83, 0x42, 0x20, 0x27];
const PICTURE = [0x86, 0x00, 0x40, 0x92, 0xbc, 0x2c];
const STILL = [0x86, 0x00, 0x00, 0x92, 0xb4, 0x30];
const EXISTING = [0x88];

function block(relative, frame, flags = 0) {
  return [0xa3, 0x80 | (frame.length + 4), 0x81, relative >> 8, relative & 0xff, flags, ...frame];
}

function group(relative, frame) {
  const body = [0xa1, ...block(relative, frame).slice(1), 0x9b, 0x81, 1];
  return [0xa0, 0x80 | body.length, ...body];
}

function cluster(...blocks) {
  const body = [0xe7, 0x82, 0x07, 0xd0, ...blocks.flat()];
  return [0x1f, 0x43, 0xb6, 0x75, 0x80 | body.length, ...body];
}

const FILE = Uint8Array.from([
  ...cluster(block(0, KEY, 0x80), block(900, STILL), block(950, PICTURE)),
  ...cluster(block(0, EXISTING), block(990, STILL), group(1000, STILL), group(1001, EXISTING)),
]);
const WANT = [[2000, 'key'], [2900, 'repeat'], [2950, ''], [2000, 'repeat'], [2990, 'repeat'],
              [3000, 'repeat'], [3001, 'repeat']];

function read(size) {
  const out = [];
  const r = new FrameReader(f => out.push(
    [f.timeMs, f.isKey ? 'key' : f.isRepeat ? 'repeat' : '']));
  for (let at = 0; at < FILE.length; at += size)
    r.push(at, FILE.slice(at, at + size));
  return out;
}

test('frames and repeats of a file', () => {
  assert.deepEqual(read(FILE.length), WANT);
});

test('in pieces of any length', () => {
  for (let size = 1; size < 30; size++)
    assert.deepEqual(read(size), WANT, `${size} bytes`);
});

test('a frame that is cut off is none', () => {
  const out = [];
  new FrameReader(f => out.push(f)).push(0, FILE.slice(0, FILE.indexOf(0x82, 9) + 1));
  assert.deepEqual(out, []);
});
