/* manifest.js and block_check.js: in which cluster of a changed block the change is. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import test from 'node:test';
import {BlockCheck} from '../block_check.js';
import {canonical, checkManifest, parseExact} from '../manifest.js';

const ID = '0f2c8a1e-0000-4000-8000-000000000001';
globalThis.crypto ??= crypto.webcrypto; /* node 18 */
const sha = b => crypto.createHash('sha256').update(b).digest();
const {publicKey, privateKey} = crypto.generateKeyPairSync('ed25519');
const RAW = publicKey.export({format: 'der', type: 'spki'}).subarray(-32);
const KEY = {public_key: RAW.toString('hex')};
const HEADER = 100, CLUSTERS = 6, LENGTH = 500;

const number8 = n => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(n));
  return out;
};

/* A header and six clusters, of which two blocks of three are made; cluster n is at n
 * seconds: Cluster with a size of two bytes, Timestamp of two. */
const FILE = crypto.randomBytes(HEADER + CLUSTERS * LENGTH);
for (let i = 0; i < CLUSTERS; i++)
  FILE.set([0x1F, 0x43, 0xB6, 0x75, 0x41, 0xEE, 0xE7, 0x82, (1000 * i) >> 8, (1000 * i) & 255],
    HEADER + i * LENGTH);
const at = i => HEADER + i * LENGTH;
const BLOCKS = [[at(0), 3 * LENGTH], [at(3), 3 * LENGTH], [0, HEADER]];
const part = (offset, length) => FILE.subarray(offset, offset + length);

function makeEvidence() {
  let root = sha('relaycam evidence 1\n' + ID);
  const blocks = BLOCKS.map(([offset, length]) => {
    const hash = sha(part(offset, length));
    root = sha(Buffer.concat([root, number8(offset), number8(length), hash]));
    return `${offset} ${length} ${hash.toString('hex')}`;
  });
  return {version: 1, root: root.toString('hex'), blocks};
}

const entry = (i, length = LENGTH) =>
  `${length} ${sha(part(at(i), LENGTH)).toString('hex').slice(0, 16)}`;

/* As the recorder makes it: the root is over what the lists say. */
function makeClusters(evidence, lists = [[0, 1, 2], [3, 4, 5], []]) {
  const parts = [Buffer.from('relaycam clusters 1\n'), Buffer.from(evidence.root, 'hex')];
  for (const list of lists) {
    parts.push(number8(list.length));
    for (const i of list)
      parts.push(number8(LENGTH), sha(part(at(i), LENGTH)).subarray(0, 8));
  }
  return {version: 1, root: sha(Buffer.concat(parts)).toString('hex'),
          blocks: lists.map(list => list.map(i => entry(i)).join(' '))};
}

/* edit(evidence) changes it before it is signed. */
function manifest(edit = () => {}) {
  const evidence = makeEvidence();
  evidence.clusters = makeClusters(evidence);
  edit(evidence);
  const text = JSON.stringify({segment: ID, evidence});
  const signature = crypto.sign(null, Buffer.from('relaycam signed manifest 1\n' +
    canonical(parseExact(text))), privateKey);
  return text.replace(/\}$/, `, "signature": {"version": 1, "key": "${
    sha(RAW).toString('hex').slice(0, 16)}", "ed25519": "${signature.toString('hex')}"}}`);
}

async function placesOf(file, text = manifest()) {
  const check = new BlockCheck(() => {});
  const {blocks, problem} = await checkManifest(text, ID, KEY);
  assert.equal(problem, null);
  check.setBlocks(blocks);
  check.add(0, new Uint8Array(file));
  await check.pending;
  return {check, places: check.blocks.flatMap(b => b.places)};
}

function flipped(...offsets) {
  const file = Buffer.from(FILE);
  for (const offset of offsets)
    file[offset] ^= 1;
  return file;
}

test('nothing is bad of a file that was not changed', async () => {
  const {check, places} = await placesOf(FILE);
  assert.deepEqual(check.blocks.map(b => b.state), ['good', 'good', 'good']);
  assert.deepEqual(places, []);
  assert.equal(check.firstBad(), null);
});

test('one byte makes its cluster bad, with its times', async () => {
  for (let i = 0; i < CLUSTERS; i++)
    for (const offset of [at(i) + 20, at(i) + LENGTH - 1]) {
      const {check, places: [place, ...others]} = await placesOf(flipped(offset));
      assert.deepEqual(others, []);
      assert.deepEqual([place.offset, place.length, place.fromMs], [at(i), LENGTH, 1000 * i]);
      assert.equal(place.toMs, i % 3 === 2 ? null : 1000 * (i + 1)); /* in the next block */
      assert.deepEqual(check.firstBad(), place);
    }
});

test('several changes are several places', async () => {
  const {places} = await placesOf(flipped(at(0) + 20, at(2) + 20, at(4) + 20));
  assert.deepEqual(places.map(p => p.offset), [at(0), at(2), at(4)]);
});

test('a time that was changed is not believed', async () => {
  const file = Buffer.from(FILE);
  file.set([0xFF, 0xFF], at(1) + 8);
  assert.deepEqual((await placesOf(file)).places.map(p => [p.offset, p.fromMs, p.toMs]),
    [[at(1), null, 2000]]);
});

test('a header that was changed is bad as a whole', async () => {
  assert.deepEqual((await placesOf(flipped(5))).places.map(p => [p.offset, p.length]), [[0, HEADER]]);
});

for (const [name, edit] of [
  ['without a list', e => { delete e.clusters; }],
  ['with the list of a later version', e => { e.clusters.version = 2; }],
])
  test('a manifest ' + name + ' makes the block bad', async () => {
    const {places} = await placesOf(flipped(at(1) + 20), manifest(edit));
    assert.deepEqual(places.map(p => [p.offset, p.length]), [[at(0), 3 * LENGTH]]);
  });

test('a list that fits what was changed leaves the block bad', async () => {
  const text = manifest(e => {
    const was = FILE[at(1) + 20];
    FILE[at(1) + 20] ^= 1; /* as somebody who makes list and file fit */
    e.clusters = makeClusters(e);
    FILE[at(1) + 20] = was;
  });
  assert.deepEqual((await placesOf(flipped(at(1) + 20), text)).places.map(p => [p.offset, p.length]),
    [[at(0), 3 * LENGTH]]);
  assert.deepEqual((await placesOf(FILE, text)).places, []);
});

for (const [name, edit] of [
  ['null', e => { e.clusters = null; }],
  ['a number', e => { e.clusters = 1; }],
  ['of version 0', e => { e.clusters.version = 0; }],
  ['without a version', e => { delete e.clusters.version; }],
  ['too short', e => { e.clusters.blocks.pop(); }],
  ['a number of blocks', e => { e.clusters.blocks = 1e9; }],
  ['with a number for a block', e => { e.clusters.blocks[0] = 5; }],
  ['cut off', e => { e.clusters.blocks[0] = e.clusters.blocks[0].slice(0, -1); }],
  ['one cluster short', e => { e.clusters.blocks[0] = `${entry(0)} ${entry(1)}`; }],
  ['of one cluster', e => { e.clusters.blocks[0] = entry(0, 1500); }],
  ['with a billion bytes', e => { e.clusters.blocks[0] = `${entry(0)} ${entry(1)} ${entry(2, 1e9)}`; }],
  ['with nothing in it', e => { e.clusters.blocks[0] += ' ' + entry(0, 0); }],
  ['of other lengths', e => { e.clusters.blocks[0] = [entry(0, 499), entry(1, 501), entry(2)].join(' '); }],
  ['of other clusters', e => { e.clusters.blocks[0] = [entry(1), entry(0), entry(2)].join(' '); }],
  ['of other blocks', e => { e.clusters = makeClusters(e, [[0, 1, 2], [], []]); e.clusters.blocks[1] =
    makeClusters(e).blocks[1]; }],
  ['of another file', e => { e.clusters = makeClusters({root: '00'.repeat(32)}); }],
])
  test('a list is refused: ' + name, async () => {
    assert.deepEqual(await checkManifest(manifest(edit), ID, KEY), {blocks: null, problem: 'manifest'});
  });
