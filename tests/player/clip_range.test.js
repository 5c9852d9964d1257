/* clip_range.js: marks, and what a range has of which recording. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {CLIPS_MAX, clipParts, fileName, isWhole, keyBefore, madeText, moveMark, rangeText, whyNot}
  from '../clip_range.js';

const NONE = {fromMs: null, toMs: null};
const recording = (seq, fromMs, toMs, status = 'available') => ({id: 'r' + seq, seq, fromMs, toMs, status});
const model = (...recordings) => ({recordings, endOf: r => r.toMs});

test('a mark that would turn the range around takes the other away', () => {
  const begun = moveMark(NONE, 'fromMs', 1000.4);
  assert.deepEqual(begun, {fromMs: 1000, toMs: null});
  const whole = moveMark(begun, 'toMs', 5000);
  assert.ok(isWhole(whole));
  assert.deepEqual(moveMark(whole, 'fromMs', 5000), {fromMs: 5000, toMs: null});
  assert.deepEqual(moveMark(whole, 'toMs', 999), {fromMs: null, toMs: 999});
  assert.deepEqual(moveMark(whole, 'toMs', 6000), {fromMs: 1000, toMs: 6000});
});

test('the line says what is marked, and what to do', () => {
  assert.equal(rangeText(NONE), '');
  assert.match(rangeText({fromMs: 1000, toMs: null}), /^Clip from 0:01.000: .*\]$/);
  assert.match(rangeText({fromMs: null, toMs: 1000}), /^Clip up to 0:01.000: .*\[$/);
  assert.equal(rangeText({fromMs: 1000, toMs: 62500}), 'Clip from 0:01.000 to 1:02.500, 61.5 seconds');
});

test('a range is a clip per recording, in its own milliseconds', () => {
  const m = model(recording(1, 0, 10000), recording(2, 10000, 20000), recording(3, 24000, 30000));
  const parts = (fromMs, toMs) => clipParts(m, {fromMs, toMs}).map(p => [p.recording.seq, p.fromMs, p.toMs]);
  assert.deepEqual(parts(2000, 3000), [[1, 2000, 3000]]);
  assert.deepEqual(parts(9000, 25000), [[1, 9000, 10000], [2, 0, 10000], [3, 0, 1000]]);
  assert.deepEqual(parts(10000, 20000), [[2, 0, 10000]]);
  assert.deepEqual(parts(20500, 23000), []);
});

test('what cannot be cut is said', () => {
  const texts = {recording: 'is being recorded'};
  assert.match(whyNot([], texts), /Nothing was recorded/);
  assert.match(whyNot([{recording: recording(4, 0, 1, 'recording')}], texts), /^File 4 is being recorded: /);
  assert.match(whyNot([{recording: recording(4, 0, 1, 'odd')}], texts), /^File 4 is not stored: /);
  const many = Array.from({length: CLIPS_MAX + 1}, (_, i) => ({recording: recording(i + 1, 0, 1)}));
  assert.match(whyNot(many, texts), /over 11 files/);
  assert.equal(whyNot(many.slice(1), texts), '');
});

test('the key frame before a time', () => {
  const cues = [{timeMs: 0}, {timeMs: 9000}, {timeMs: 20000}];
  assert.equal(keyBefore(cues, 19999), 9000);
  assert.equal(keyBefore(cues, 20000), 20000);
  assert.equal(keyBefore([], 5), null);
});

test('what was made, on the timeline of the session', () => {
  const r = recording(2, 10000, 20000), made = {from_ms: 500, to_ms: 3500, bytes: 1234567};
  assert.equal(madeText(r, made, false), '0:10.500 to 0:13.500, 3.0 seconds, 1.2 MB');
  assert.match(madeText(r, {...made, bytes: 1001}, true), /^File 2: .*, 2 kB$/);
  assert.equal(fileName('https://h:1/files/a/b%2B1.clip-x.webm?expires=1', '.json'), 'b+1.clip-x.json');
});
