/* hover_frames.js and thumbnails.js: which frames are decoded for a place, what is
 * kept, and whose link is asked for. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {HoverFrames} from '../hover_frames.js';
import {Thumbnails} from '../thumbnails.js';

const CLUSTER_AT = 100, N = 5;

/* Cluster of five frames, one per 100 ms; the data of each is its number. */
const frame = n => [0xA3, 0x80 | 5, 0x81, 0, n * 100, n === 0 ? 0x80 : 0, n];
const CLUSTER = Uint8Array.from([0x1F, 0x43, 0xB6, 0x75, 1, 255, 255, 255, 255, 255, 255, 255,
  0xE7, 0x81, 0, ...[0, 1, 2].flatMap(frame)]);

function fakeFile(recording, log) {
  return {
    id: recording.id, header: {codec: 'vp9'}, end: CLUSTER_AT + CLUSTER.length,
    open: async () => { log.push(`open ${recording.id}`); },
    loadCues: async () => {},
    offsetFor: () => CLUSTER_AT,
    async peek(from, to, signal, take) {
      log.push(`read ${from} to ${to}`);
      for (let i = 0; i < CLUSTER.length; i += N)
        if (!take(CLUSTER.slice(i, i + N)))
          return;
    },
  };
}

/* Decodes a chunk to its number; a picture's URL is the number. */
class FakeDecoder {
  constructor({output}) {
    this.output = output;
    this.state = 'configured';
  }
  configure() {}
  decode({data}) { this.output({displayWidth: 640, displayHeight: 480, n: data[0], close() {}}); }
  async flush() {}
  close() { this.state = 'closed'; }
}

globalThis.VideoDecoder = FakeDecoder;
globalThis.EncodedVideoChunk = class {
  constructor(init) { Object.assign(this, init); }
};
globalThis.document = {createElement: () => {
  const canvas = {getContext: () => ({drawImage: f => { canvas.n = f.n; }}),
                  toDataURL: () => `frame ${canvas.n}`};
  return canvas;
}};

function make() {
  const log = [], done = [];
  const hover = new HoverFrames(r => fakeFile(r, log));
  return {hover, log, done, want: (id, ms) => hover.want({id}, ms, () => done.push([id, ms]))};
}

test('the last frame up to the place, for as long as it is shown', async () => {
  const {hover, want, done, log} = make();
  await want('a', 150);
  assert.deepEqual(done, [['a', 150]]);
  assert.equal(hover.get('a', 150), 'frame 1');
  assert.equal(hover.get('a', 100), 'frame 1');
  assert.equal(hover.get('a', 99), null);
  assert.equal(hover.get('a', 200), null);
  assert.equal(hover.get('b', 150), null);
  assert.deepEqual(log, ['open a', `read 100 to ${100 + CLUSTER.length}`]);
});

test('behind the last frame nothing is taken for known', async () => {
  const {hover, want} = make();
  await want('a', 5000);
  assert.equal(hover.get('a', 5000), 'frame 2');
  assert.equal(hover.get('a', 5002), null);
});

test('a pointer that moves on asks for the last place alone', async () => {
  const {want, done, log} = make();
  await Promise.all([want('a', 50), want('a', 150), want('b', 250)]);
  assert.deepEqual(done, [['b', 250]]);
  assert.deepEqual(log.filter(l => l.startsWith('open')), ['open b']);
});

test('what is kept is bounded, and the oldest goes first', () => {
  const {hover} = make();
  for (let i = 0; i < 1000; i++)
    hover.keep({id: 'a', fromMs: i, toMs: i + 1, url: `frame ${i}`});
  assert.equal(hover.kept.length, 300);
  assert.equal(hover.get('a', 699), null);
  assert.equal(hover.get('a', 700), 'frame 700');
});

function thumbnails() {
  const files = new Map([['a', fakeFile({id: 'a'}, [])]]);
  const player = {playback: {files}, api: {posterUrl: id => `/poster/${id}`}};
  return {own: new Thumbnails(player), recording: (id, isLinkWatching) => ({
    id, isLinkWatching, isPlayable: true, fromMs: 1000, hasPoster: true})};
}

test('of a recording in S3 only if the player read it already', async () => {
  const {own, recording} = thumbnails();
  const done = [];
  await own.want(recording('b', true), 1150, () => done.push('b'));
  assert.equal(own.of(recording('b', true), 1150), '/poster/b');
  await own.want(recording('a', true), 1150, () => done.push('a'));
  assert.deepEqual(done, ['a']);
  assert.equal(own.of(recording('a', true), 1150), 'frame 1');
  assert.deepEqual(own.usedIds(), ['a']);
});

test('nothing is wanted where nothing was recorded', async () => {
  const {own, recording} = thumbnails();
  const done = [];
  const first = own.want(recording('a', false), 1150, () => done.push('a'));
  await own.want(null);
  await first;
  await own.want({...recording('a', false), isPlayable: false}, 1150, () => done.push('x'));
  assert.equal(own.of(undefined, 1150), null);
  assert.deepEqual(done, []);
});
