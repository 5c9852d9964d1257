/* What recording_file.js asks the storage server for. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {Links} from '../links.js';
import {sha256, toHex} from '../manifest.js';
import {RecordingFile} from '../recording_file.js';

const element = (id, ...data) => [...id, 0x80 | data.flat().length, ...data.flat()];
const HEADER = [...element([0x1A, 0x45, 0xDF, 0xA3]), 0x18, 0x53, 0x80, 0x67,
  0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
const CLUSTER = element([0x1F, 0x43, 0xB6, 0x75], element([0xE7], 0),
  element([0xA3], 0x81, 0, 0, 0x80, 1, 2, 3));

/* A server of one file that grows; ranges: what was asked for. */
function serve(file) {
  const ranges = [];
  globalThis.fetch = async (url, {headers}) => {
    if (url.includes('/index.json?'))
      return Response.json({growing: file.isGrowing, duration_ms: 0, bytes: file.bytes.length, cues: []});
    const m = /^bytes=(\d+)-(\d+)$/.exec(headers.Range), size = file.bytes.length;
    ranges.push([Number(m[1]), Number(m[2]), size]);
    if (Number(m[1]) >= size)
      return new Response('', {status: 416, headers: {'Content-Range': `bytes */${size}`}});
    const body = Uint8Array.from(file.bytes.slice(Number(m[1]), Number(m[2]) + 1));
    return new Response(body, {status: 206, headers: {
      'Content-Range': `bytes ${m[1]}-${Number(m[1]) + body.length - 1}/${size}`}});
  };
  return ranges;
}

function open(url) {
  const links = new Links(async () => ({
    url, expires_at: new Date(Date.now() + 600000).toISOString()}));
  return new RecordingFile({id: 'r', isGrowing: true, status: 'recording'}, links, {}, () => {});
}

test('of a file that grows only what is there is asked for', async () => {
  const file = {isGrowing: true, bytes: []}, ranges = serve(file);
  const r = open('https://store/a.webm?signature=1');
  await assert.rejects(r.open(), e => e.retryMs > 0);
  assert.deepEqual(ranges, []);
  file.bytes = [...HEADER, ...CLUSTER];
  await r.open();
  assert.equal(r.header.length, HEADER.length);
  file.bytes.push(...CLUSTER);
  await r.refresh();
  assert.equal(r.size, file.bytes.length);
  await r.read(HEADER.length + CLUSTER.length, r.pieceEnd(HEADER.length + CLUSTER.length), null, () => {});
  for (const [from, to, size] of ranges)
    assert.ok(from < size && to < size, `${from}-${to} of ${size}`);
});

test('a link to the object store is not asked for an index', async () => {
  const ranges = serve({isGrowing: false, bytes: [...HEADER, ...CLUSTER]});
  const r = open('https://s3/a.webm?X-Amz-Signature=1');
  await r.open();
  assert.equal(r.isGrowing, false);
  assert.deepEqual(ranges.map(([from]) => from), [0]);
});

test('a block that was cut off is bad, and is not asked for', async () => {
  const ranges = serve({isGrowing: false, bytes: [...HEADER, ...CLUSTER]});
  const r = open('https://s3/a.webm?X-Amz-Signature=1');
  await r.open();
  const there = HEADER.length + CLUSTER.length;
  r.check.setBlocks([{offset: 0, length: there + 100, hash: '00'}]);
  await r.completeBlocks();
  assert.equal(r.check.firstBad().length, there + 100);
  assert.ok(ranges.every(([from]) => from < there));
});

test('a file that was followed is not cut off because nobody looked since', async () => {
  const file = {isGrowing: true, bytes: [...HEADER, ...CLUSTER]};
  serve(file);
  const r = open('https://store/a.webm?signature=1');
  await r.open();
  r.startFrames(() => {});
  /* its second cluster was followed; a third came, and the file was closed */
  r.check.add(file.bytes.length, Uint8Array.from(CLUSTER));
  file.bytes.push(...CLUSTER, ...CLUSTER);
  const whole = Uint8Array.from(file.bytes);
  const hash = toHex(await sha256(whole));
  file.isGrowing = false;
  r.check.setBlocks([{offset: 0, length: whole.length, hash}]);
  await r.completeBlocks();
  await r.check.pending;
  assert.equal(r.check.firstBad(), null);
  assert.equal(r.check.blocks[0].state, 'good');
});

test('of a file whose last size is not known nothing is said', async () => {
  const r = open('https://store/a.webm?signature=1');
  serve({isGrowing: true, bytes: [...HEADER, ...CLUSTER]});
  await r.open();
  globalThis.fetch = async () => { throw new TypeError('Failed to fetch'); };
  r.check.add(r.size, Uint8Array.from(CLUSTER));
  r.check.setBlocks([{offset: r.size, length: 100, hash: '00'}]);
  await r.completeBlocks();
  assert.equal(r.check.blocks[0].state, 'unknown');
});

/* A server that sends `bytes` and then nothing; isCancelled: by the page. */
function serveEndless(bytes) {
  const at = {isCancelled: false};
  globalThis.fetch = async () => new Response(new ReadableStream({
    start: c => c.enqueue(Uint8Array.from(bytes)),
    cancel: () => { at.isCancelled = true; },
  }));
  return at;
}

test('what is silent for long is left', async () => {
  const at = serveEndless([...CLUSTER, ...CLUSTER]), r = open('https://store/a.webm?signature=1');
  r.silenceMs = 20;
  r.startFrames(() => {});
  assert.equal(await r.follow(50, new AbortController().signal, () => {}), 50 + CLUSTER.length);
  assert.ok(at.isCancelled);
});

test('a connection is not left open by who cannot take what it has', async () => {
  const at = serveEndless(CLUSTER), r = open('https://store/a.webm?signature=1');
  r.startFrames(() => {});
  await assert.rejects(r.follow(50, new AbortController().signal, async () => {
    throw new Error('full');
  }), /full/);
  assert.ok(at.isCancelled);
});

test('a console that does not answer is asked again, one that refuses is not', async () => {
  for (const [status, isLater] of [[0, true], [503, true], [429, true], [403, false], [404, false]]) {
    const links = new Links(async () => { throw Object.assign(new Error(''), {status}); });
    const r = new RecordingFile({id: 'r', isGrowing: true, status: 'recording'}, links, {}, () => {});
    await assert.rejects(r.open(), e => e.retryMs > 0 === isLater && e.message !== '', String(status));
  }
});

test('a file that went to the object store since the last look is closed', async () => {
  const bytes = [...HEADER, ...CLUSTER], urls = ['https://store/a.webm?signature=1',
    'https://s3/a.webm?X-Amz-Signature=1'];
  serve({isGrowing: false, bytes});
  const there = globalThis.fetch;
  globalThis.fetch = async (url, how) => url.includes('X-Amz-Signature=') && !url.includes('/index.json') ?
    there(url, how) : new Response('gone', {status: 404});
  const links = new Links(async () => ({
    url: urls.shift(), expires_at: new Date(Date.now() + 600000).toISOString()}));
  const r = new RecordingFile({id: 'r', isGrowing: true, status: 'recording'}, links, {}, () => {});
  await r.open();
  assert.equal(r.isGrowing, false);
  assert.equal(r.size, bytes.length);
});

test('what the browser refuses is explained by what is to be set', async () => {
  globalThis.location = {origin: 'https://console'};
  globalThis.fetch = async (url, {mode}) => {
    if (mode !== 'no-cors')
      throw new TypeError('Failed to fetch');
    return new Response(null);
  };
  const refused = open('https://store:8443/a.webm?X-Amz-Signature=1');
  await assert.rejects(refused.open(), /https:\/\/store:8443 .*cors_origin = https:\/\/console /);
  globalThis.fetch = async () => { throw new TypeError('Failed to fetch'); };
  const away = open('https://store:8443/a.webm?X-Amz-Signature=1');
  await assert.rejects(away.open(), e => /cannot be reached/.test(e.message) && e.retryMs > 0);
});

/* Such an answer counts the cues too: a place behind them is not there to be
 * asked for, nor to be followed. */
test('the size of a file that is closed meanwhile is not taken for its clusters', async () => {
  const file = {isGrowing: true, bytes: [...HEADER, ...CLUSTER]};
  serve(file);
  const r = open('https://store/a.webm?signature=1');
  await r.open();
  const clusters = file.bytes.length;
  file.isGrowing = false;
  file.bytes.push(0x1C, 0x53, 0xBB, 0x6B, 0x81, 0);
  await r.read(HEADER.length, clusters, null, () => {});
  assert.equal(r.end, clusters);
  await r.refresh();
  assert.equal(r.size, file.bytes.length);
});

/* A server that sends one piece when it is told. */
function slowServer() {
  let send;
  const body = new ReadableStream({start(c) { send = c; }});
  globalThis.fetch = async () => new Response(body, {status: 206, headers: {'Content-Range': 'bytes 0-999/1000'}});
  return {push: bytes => send.enqueue(Uint8Array.from(bytes)), end: () => send.close(),
          fail: () => send.error(new TypeError('connection lost'))};
}

function openStored() {
  const links = new Links(async () => ({
    url: 'https://store/a.webm', expires_at: new Date(Date.now() + 600000).toISOString()}));
  return new RecordingFile({id: 'r', isGrowing: false, status: 'available'}, links, {}, () => {});
}

for (const how of ['end', 'fail'])
  test(`the header is enough to begin; what follows is given as it comes, until: ${how}`, async () => {
    const server = slowServer(), r = openStored(), at = HEADER.length;
    const opened = r.open();
    server.push(HEADER.slice(0, 5));
    server.push([...HEADER.slice(5), ...CLUSTER.slice(0, 8)]);
    await opened;
    assert.equal(r.header.length, at);
    const first = await r.headFrom(at);
    assert.ok(first.length > 0 && first.length <= 8);
    const next = r.headFrom(at + first.length);
    server.push(CLUSTER.slice(first.length));
    assert.deepEqual([...first, ...await next], CLUSTER);
    const last = r.headFrom(at + CLUSTER.length);
    server[how]();
    assert.equal((await last).length, 0);
  });

test('a connection that breaks before the header is told', async () => {
  const server = slowServer(), r = openStored(), opened = r.open();
  server.push(HEADER.slice(0, 5));
  server.fail();
  await assert.rejects(opened);
});
