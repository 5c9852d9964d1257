import assert from 'node:assert/strict';
import test from 'node:test';
import {checksOf, summary} from '../check_summary.js';

const model = {durationMs: 60000, endOf: r => r.toMs};

/* A file of 20 s: its blocks are 1000 bytes and 5 s each. */
function file(seq, states, more = {}) {
  const blocks = states.map((state, i) => ({offset: 1000 * i, length: 1000, state,
    places: state === 'bad' ? [{offset: 1000 * i, length: 1000}] : []}));
  return {
    recording: {seq, fromMs: 20000 * (seq - 1), toMs: 20000 * seq}, problem: null, isGrowing: false,
    check: {blocks, firstBad: () => blocks.find(b => b.state === 'bad')?.places[0] || null},
    timesOf: b => (b.offset === 0 ? null : [5 * b.offset, 5 * (b.offset + 1000)]), ...more};
}

test('blocks that are decided stand at their times', () => {
  const checks = checksOf([file(2, ['good', 'good', 'unknown', 'bad'])], model);
  assert.deepEqual(checks.map(c => [c.state, c.fromMs, c.toMs]), [['good', 25000, 30000], ['bad', 35000, 40000]]);
});

test('a header that was changed makes all of its file bad', () => {
  const [c] = checksOf([file(1, ['bad'])], model);
  assert.deepEqual([c.state, c.fromMs, c.toMs], ['bad', 0, 20000]);
});

test('the first bad block is named, of the first file that has one', () => {
  const files = [file(3, ['good', 'bad']), file(2, ['good', 'good', 'bad'])];
  const {state, text} = summary(files, checksOf(files, model), model);
  assert.equal(state, 'bad');
  assert.match(text, /^File 2 was changed.*bytes 2000 to 2999, from 0:30.000 to 0:35.000\.$/);
});

test('of a changed block only the changed places are bad, and nothing is good', () => {
  const f = file(1, ['good', 'good', 'bad']);
  f.check.blocks[2].places = [{offset: 2100, length: 10}, {offset: 2900, length: 50}];
  f.timesOf = p => [p.offset, p.offset + p.length];
  const checks = checksOf([f], model);
  assert.deepEqual(checks.slice(2).map(c => [c.state, c.fromMs, c.toMs]),
    [['bad', 2100, 2110], ['bad', 2900, 2950]]);
  assert.match(summary([f], checks, model).text, /bytes 2100 to 2109, from/);
});

test('a wrong manifest is bad, one that is not there is not', () => {
  const of = problem => summary([file(1, ['good', 'good'], {problem})], [], model).state;
  assert.equal(of('signature'), 'bad');
  assert.equal(of('unsigned'), 'unknown');
  assert.equal(of('unreachable'), 'unknown');
});

test('how much is good is said', () => {
  const files = [file(1, ['good', 'good'])];
  const {state, text} = summary(files, checksOf(files, model), model);
  assert.equal(state, 'good');
  assert.match(text, /5 seconds of 1 minute/);
  assert.match(summary([file(1, [], {isGrowing: true})], [], model).text, /still being written/);
});
