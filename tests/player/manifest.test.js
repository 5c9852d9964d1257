/* manifest.js and block_check.js: what a signed manifest vouches for. */
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
const FILE = crypto.randomBytes(5000);
const PARTS = [[1000, 2000], [3000, 1500], [4500, 500], [0, 1000]];

function evidence(id = ID, parts = PARTS) {
  let root = sha('relaycam evidence 1\n' + id);
  const blocks = parts.map(([offset, length]) => {
    const hash = sha(FILE.subarray(offset, offset + length)), numbers = Buffer.alloc(16);
    numbers.writeBigUInt64BE(BigInt(offset));
    numbers.writeBigUInt64BE(BigInt(length), 8);
    root = sha(Buffer.concat([root, numbers, hash]));
    return `${offset} ${length} ${hash.toString('hex')}`;
  });
  return {version: 1, root: root.toString('hex'), blocks};
}

/* The text of a signed manifest; edit changes it before it is signed. */
function manifest(edit = () => {}, key = privateKey, raw = RAW) {
  const plain = {segment: ID, evidence: evidence(), name: 'Ünï "x"\\/\u0001\n', list: [1, null, true],
                 start_wall_ns: 'WALL'};
  edit(plain);
  const text = JSON.stringify(plain, null, 1).replace('"WALL"', '1790000000123456789');
  const sorted = canonical(parseExact(text));
  const signature = crypto.sign(null, Buffer.from('relaycam signed manifest 1\n' + sorted), key);
  return text.replace(/\}$/, `, "signature": {"version": 1, "key": "${
    sha(raw).toString('hex').slice(0, 16)}", "ed25519": "${signature.toString('hex')}"}}`);
}

test('numbers beyond 2^53 keep their digits, names are sorted', () => {
  assert.equal(canonical(parseExact(' {"b" : 1790000000123456789,\n"a":[ ],"é":{}, "B":-0.50} ')),
    '{"B":-0.50,"a":[],"b":1790000000123456789,"é":{}}');
  assert.equal(canonical(parseExact('"\\u00e4\\/\\u001f\\u0007\\t\\ud83d\\ude00"')),
    '"ä/\\u001F\\u0007\\t😀"');
});

test('what is no JSON is refused', () => {
  for (const bad of ['', '{', '[1,]', '{"a"}', '{"a":1,}', '1 2', '{a:1}', '01', '"\n"', '[', ']',
    '{"a":1 "b":2}', 'nul', '['.repeat(100) + ']'.repeat(100)])
    assert.throws(() => parseExact(bad), SyntaxError, bad);
});

test('a good manifest gives the blocks in the order of the file', async () => {
  const {blocks, problem} = await checkManifest(manifest(), ID, KEY);
  assert.equal(problem, null);
  assert.deepEqual(blocks.map(b => [b.offset, b.length]), [[0, 1000], [1000, 2000], [3000, 1500], [4500, 500]]);
});

const other = crypto.generateKeyPairSync('ed25519');
const otherRaw = other.publicKey.export({format: 'der', type: 'spki'}).subarray(-32);
for (const [name, text, problem] of [
  ['edited after it was signed', manifest().replace('[\n  1,', '[\n  2,'), 'signature'],
  ['a number edited beyond 2^53', manifest().replace('123456789', '123456788'), 'signature'],
  ['signed with another key', manifest(() => {}, other.privateKey, otherRaw), 'signature'],
  ['another key under our name', manifest(() => {}, other.privateKey), 'signature'],
  ['not signed', JSON.stringify({segment: ID}), 'unsigned'],
  ['no JSON', 'x', 'manifest'],
  ['a list', '[]', 'manifest'],
  ['of another recording', manifest(m => { m.segment = ID.replace('1', '2'); }), 'other_recording'],
  ['with a hole', manifest(m => { m.evidence = evidence(ID, [[1000, 2000], [3001, 1999], [0, 1000]]); }), 'manifest'],
  ['blocks of another recording', manifest(m => { m.evidence = evidence(ID.replace('1', '2')); }), 'manifest'],
  ['a block left out', manifest(m => { m.evidence.blocks.splice(1, 1); }), 'manifest'],
  ['without blocks', manifest(m => { m.evidence.blocks = []; }), 'manifest'],
  ['without evidence', manifest(m => { delete m.evidence; }), 'manifest'],
])
  test('refused: ' + name, async () => {
    assert.deepEqual(await checkManifest(text, ID, KEY), {blocks: null, problem});
  });

test('a key that the console does not know', async () => {
  assert.equal((await checkManifest(manifest(), ID, null)).problem, 'unknown_key');
});

async function feed(pieces, file = FILE, early = false) {
  const told = [], check = new BlockCheck(b => told.push([b.offset, b.state]));
  const {blocks} = await checkManifest(manifest(), ID, KEY);
  if (early)
    check.setBlocks(blocks);
  for (const [from, to] of pieces)
    check.add(from, new Uint8Array(file.subarray(from, to)));
  if (!early)
    check.setBlocks(blocks);
  await check.pending;
  return {check, told};
}

for (const early of [true, false])
  test(`blocks are good in whatever order their bytes come, list first: ${early}`, async () => {
    const bytes = Array.from({length: 50}, (_, i) => [i * 100, i * 100 + 100]);
    for (const pieces of [[[0, 5000]], [[2500, 5000], [0, 2600]], bytes, bytes.reverse()]) {
      const {check, told} = await feed(pieces, FILE, early);
      assert.deepEqual(told.map(t => t[1]), ['good', 'good', 'good', 'good']);
      assert.equal(check.kept, 0);
      assert.equal(check.firstBad(), null);
    }
  });

test('one byte that was changed makes its block bad, and no other', async () => {
  for (const at of [0, 999, 1000, 2999, 3000, 4499, 4500, 4999]) {
    const file = Buffer.from(FILE);
    file[at] ^= 1;
    const {check, told} = await feed([[0, 2222], [2222, 5000]], file);
    const bad = check.firstBad();
    assert.ok(at >= bad.offset && at < bad.offset + bad.length);
    assert.equal(told.filter(t => t[1] === 'bad').length, 1);
  }
});

test('a block is not judged before all of it is there', async () => {
  const {check, told} = await feed([[1000, 2500], [3500, 5000]]);
  assert.deepEqual(told, [[4500, 'good']]);
  assert.deepEqual(check.missing(check.blockAt(1000)), [2500, 3000]);
  assert.deepEqual(check.missing(check.blockAt(3000)), [3000, 3500]);
  assert.equal(check.blockAt(5000), null);
});
