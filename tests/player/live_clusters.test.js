/* live_clusters.js: frames of a file that grows. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {LiveClusters, clusterOf, join} from '../live_clusters.js';
import {FrameReader} from '../webm.js';

const size8 = n => [1, 0, 0, 0, 0, 0, n >> 8, n & 255];
const OPEN = [1, 255, 255, 255, 255, 255, 255, 255];
const key = (ms, ...data) => [0xA3, 0x80 | (4 + data.length), 0x81, ms >> 8, ms & 255, 0x80, ...data];
const delta = (ms, ...data) => [0xA3, 0x80 | (4 + data.length), 0x81, ms >> 8, ms & 255, 0, ...data];
const last = (ms, ...data) => [0xA0, 0x80 | (12 + data.length), 0xA1, 0x80 | (4 + data.length), 0x81,
  ms >> 8, ms & 255, 0, ...data, 0x9B, 0x81, 1, 0xFB, 0x81, 0xFF];
const body = (ms, ...frames) => [0xE7, 0x82, ms >> 8, ms & 255, ...frames.flat()];
const cluster = (size, data) => [0x1F, 0x43, 0xB6, 0x75, ...size, ...data];
const CUES = [0x1C, 0x53, 0xBB, 0x6B, 0x80];

const BODIES = [body(0, key(0, 1, 2), delta(100, 3, 4)), body(1000, delta(0, 0x86, 0, 0), last(989, 0x88))];
const CLOSED = BODIES.map(b => cluster(size8(b.length), b));
const GROWING = [...BODIES.flatMap(b => cluster(OPEN, b)), ...CUES];
const AT = 300;

function read(bytes, step, sinceMs = -1) {
  const live = new LiveClusters(AT, sinceMs), frames = [], closed = [];
  for (let i = 0; i < bytes.length; i += step) {
    const out = live.push(Uint8Array.from(bytes.slice(i, i + step)));
    frames.push(...out.frames);
    closed.push(...out.closed);
  }
  return {live, frames, closed};
}

for (const step of [1, 7, 1000])
  test(`frames come as soon as they are whole, ${step} bytes at a time`, () => {
    const {live, frames, closed} = read(GROWING, step);
    assert.deepEqual(frames.map(f => [f.timeMs, f.isKey, f.isRepeat, f.durationMs, ...f.data]), [
      [0, true, false, null, 1, 2], [100, false, false, null, 3, 4],
      [1000, false, true, null, 0x86, 0, 0], [1989, false, true, 1, 0x88]]);
    assert.deepEqual(closed.map(c => c.offset), [AT, AT + CLOSED[0].length]);
    assert.deepEqual(closed.map(c => [...c.bytes]), CLOSED);
    assert.ok(live.isOver);
    assert.equal(live.openAt, AT + CLOSED[0].length + CLOSED[1].length);
  });

test('a frame of the open cluster is not held back', () => {
  const open = cluster(OPEN, body(0, key(0, 1, 2)));
  const {live, frames, closed} = read(open, 1000);
  assert.equal(frames.length, 1);
  assert.equal(closed.length, 0);
  assert.equal(live.openAt, AT);
  assert.equal(read(open.slice(0, -1), 1000).frames.length, 0);
});

test('after a broken connection known frames do not come again', () => {
  assert.deepEqual(read(GROWING, 1000, 100).frames.map(f => f.timeMs), [1000, 1989]);
});

test('what was closed before it was read is as it is', () => {
  const {frames, closed} = read([...CLOSED.flat(), ...CUES], 5);
  assert.equal(frames.length, 4);
  assert.deepEqual(closed.map(c => [...c.bytes]), CLOSED);
});

test('nothing is read behind what is no cluster', () => {
  const {frames, live} = read([...CLOSED[0], ...CUES, ...CLOSED[1]], 1000);
  assert.equal(frames.length, 2);
  assert.ok(live.isOver);
});

test('clusters that are made of frames read as the same frames', () => {
  const {frames} = read(GROWING, 1000), seen = [];
  const reader = new FrameReader(f => seen.push([f.timeMs, f.isRepeat]));
  reader.push(0, join(frames.map(clusterOf)));
  assert.deepEqual(seen, frames.map(f => [f.timeMs, f.isRepeat]));
  const again = new LiveClusters(0, -1).push(join(frames.map(clusterOf))).frames;
  assert.deepEqual(again.map(f => [f.isKey, f.durationMs]),
    [[true, 2100], [false, 2100], [false, 2100], [false, 1]]);
});
