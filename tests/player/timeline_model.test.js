/* timeline_model.js: positions, gaps, quiet times, times as text. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  TimelineModel, activityColumns, clockText, formatHash, idleRanges, nextSpeed, parseHash,
  parsePosition, parseWall, spokenText, stillName, wallHash, wallText} from '../timeline_model.js';

const row = (seq, from, to, more = {}) => ({
  recording: 'r' + seq, seq, status: 'available', progress: 100, status_detail: '', from_ms: from,
  to_ms: to, split_reason: 'size', frame_rate: 10, width: 10, height: 10, codec: 'vp9',
  has_poster: false, activity: null, ...more});
const page = (monitors, gaps = [], more = {}) => ({
  session: 's', state: 'ended', starts_at: '2026-11-21T08:15:02.500Z', cursor: null, gaps,
  monitors: monitors.map(([monitor, recordings]) => ({monitor, name: '', recordings})), ...more});
const gap = (from, to, monitors = [1]) => ({
  from_ms: from, to_ms: to, ms: to - from, why: 'crash', monitors});
const busy = [9, 0, 0], still = [0, 0, 0];

const model = new TimelineModel([
  page([[1, [row(1, 0, 10000, {activity: [busy, ...Array(9).fill(still)]})]]]),
  page([[1, [row(4, 31000, 40000)]], [2, [row(2, 10000, 20000), row(3, 21234, 31000)]]],
    [gap(20000, 21234, [2])])]);

test('recordings of all monitors and pages stand in the order of time', () => {
  assert.deepEqual(model.recordings.map(r => [r.id, r.monitor]),
    [['r1', 1], ['r2', 2], ['r3', 2], ['r4', 1]]);
  assert.deepEqual(model.monitors.map(m => m.monitor), [1, 2]);
  assert.equal(model.durationMs, 40000);
});

test('of S3 a link counts as watching, of a folder it does not', () => {
  const m = new TimelineModel([page([[1, [row(1, 0, 10, {store: 's3'}), row(2, 10, 20, {store: 'folder'}),
    row(3, 20, 30, {store: null})]]])]);
  assert.deepEqual(m.recordings.map(r => r.isLinkWatching), [true, false, false]);
});

test('activity may be known from before', () => {
  const m = new TimelineModel([page([[1, [row(1, 0, 10000)]]])],
    new Map([['r1', [busy, ...Array(9).fill(still)]]]));
  assert.equal(m.idleMs(), 7000);
});

test('a position is in a recording, in a gap, or nowhere', () => {
  for (const [ms, id] of [[0, 'r1'], [9999, 'r1'], [10000, 'r2'], [21234, 'r3'], [39999, 'r4']])
    assert.equal(model.at(ms).recording.id, id);
  for (const ms of [20000, 21233])
    assert.equal(model.at(ms).gap.ms, 1234);
  assert.deepEqual(model.at(40000), {});
});

test('playing begins with what can be played, and goes on with the next', () => {
  assert.equal(model.playableFrom(20500).id, 'r3');
  assert.equal(model.next(model.recordings[1]).id, 'r3');
  assert.equal(model.next(model.recordings[3]), null);
  const lost = new TimelineModel([page([[1, [row(1, 0, 5000, {status: 'missing'}), row(2, 5000, 9000)]]])]);
  assert.equal(lost.playableFrom(0).id, 'r2');
});

test('a recording that grows has no end, and its known end only moves on', () => {
  const live = new TimelineModel([page([[1, [row(1, 0, 5000), row(2, 5000, null, {status: 'recording'})]]],
    [], {state: 'active'})]);
  assert.equal(live.durationMs, 5000);
  assert.equal(live.grow('r2', 8000), true);
  assert.equal(live.grow('r2', 7000), false);
  assert.equal(live.grow('r1', 99000), false);
  assert.equal(live.durationMs, 8000);
  assert.equal(live.at(8000).recording.id, 'r2');
});

test('quiet times leave a second at both ends, short ones are played', () => {
  assert.deepEqual(idleRanges([busy, still, still, still, still, busy], 6000), [[2000, 4000]]);
  assert.deepEqual(idleRanges([busy, still, still, still, busy], 5000), []);
  assert.deepEqual(idleRanges(Array(8).fill(still), 7500), [[1000, 6500]]);
  assert.deepEqual(idleRanges([[0, 1, 0], ...Array(3).fill(still), [0, 0, 2]], 5000), []);
  assert.deepEqual(idleRanges(null, 5000), []);
  assert.equal(model.idleEnd(2500), 9000);
  assert.equal(model.idleEnd(1500), null);
  assert.equal(model.idleEnd(8900), null, 'no jump of a moment');
  assert.equal(model.idleMs(), 7000);
});

test('jumps lead to the next and to the one before', () => {
  assert.equal(model.jump('file', 0, 1), 10000);
  assert.equal(model.jump('file', 10500, -1), 0);
  assert.equal(model.jump('gap', 0, 1), 20000);
  assert.equal(model.jump('gap', 20000, 1), null);
  assert.equal(model.jump('change', 5000, -1), 0);
  assert.equal(model.jump('change', 0, 1), null);
});

test('a column of the strip has the largest value of its seconds', () => {
  const m = new TimelineModel([page([[1, [row(1, 0, 10000, {
    activity: [[1000, 0, 0], [10, 40, 0], ...Array(8).fill(still)]})]]])]);
  const c = activityColumns(m, 0, 10000, 5);
  assert.deepEqual(c[0], {changed: 1, events: 1});
  assert.deepEqual(c[4], {changed: 0, events: 0});
  assert.equal(activityColumns(m, 0, 10000, 20)[1].changed, 1, 'a second is two columns wide');
  assert.equal(activityColumns(m, 0, 10000, 5, 2)[0].changed, 0, 'another monitor');
  assert.equal(activityColumns(m, 1000, 2000, 10)[9].events, 1, 'a part of it');
});

test('times are read and written', () => {
  assert.equal(clockText(3723004), '1:02:03');
  assert.equal(clockText(63250, true), '1:03.250');
  assert.equal(clockText(-5), '0:00');
  assert.equal(spokenText(3661000), '1 hour 1 minute 1 second');
  assert.equal(spokenText(0), '0 seconds');
  for (const [text, ms] of [['1:02:03.5', 3723500], ['2:03', 123000], ['63', 63000], ['90s', 90000],
    [' 0 ', 0], ['x', null], ['', null], ['1:2:3:4', null], ['-1', null]])
    assert.equal(parsePosition(text, model, 'UTC'), ms, text);
  assert.equal(parsePosition('2026-11-21 09:15:12', model, 'Europe/Berlin'), 9500);
});

test('wall-clock times are those of the zone, also in summer', () => {
  const winter = Date.parse('2026-11-21T08:15:02Z'), summer = Date.parse('2026-07-01T08:00:00Z');
  assert.equal(wallText(winter, 'Europe/Berlin'), '2026-11-21 09:15:02');
  for (const [at, zone] of [[winter, 'Europe/Berlin'], [summer, 'Europe/Berlin'],
    [summer, 'America/New_York'], [winter, 'Asia/Kolkata'], [winter, 'UTC']])
    assert.equal(parseWall(wallText(at, zone), zone), at, zone);
  assert.equal(parseWall('tomorrow', 'UTC'), null);
});

test('deep links come back as they were made', () => {
  for (const ms of [0, 1, 999, 63250, 86399999])
    assert.equal(parseHash(formatHash(ms), model), ms);
  assert.equal(parseHash(wallHash(model, 12345), model), 12345);
  for (const bad of ['', '#', '#t=', '#t=x', '#t=-1', '#at=x', '#t=1e9', '#other=1'])
    assert.equal(parseHash(bad, model), null, bad);
});

test('speeds stop at both ends', () => {
  assert.equal(nextSpeed(1, 1), 1.25);
  assert.equal(nextSpeed(16, 1), 16);
  assert.equal(nextSpeed(0.25, -1), 0.25);
  assert.equal(nextSpeed(5, -1), 0.75, 'an unknown one counts as 1');
});

test('a still is named by endpoint and time', () => {
  assert.equal(stillName('pc 7/ä', Date.parse('2026-11-21T08:15:02.123Z')),
    'pc_7___2026-11-21T08-15-02.123Z.png');
});
