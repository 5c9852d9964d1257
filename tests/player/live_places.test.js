/* live_places.js: when a page follows a recording. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {whileVisible} from '../live_places.js';

function page(hidden) {
  const document = globalThis.document = new EventTarget();
  document.hidden = hidden;
  return document;
}

/* Work that goes on until its signal is given. */
const untilGiven = signal => new Promise(done => {
  if (signal.aborted)
    done('given');
  signal.addEventListener('abort', () => done('given'));
});

test('it ends with the page being hidden, and with the signal', async () => {
  const stop = new AbortController();
  const document = page(false);
  let work = whileVisible(stop.signal, untilGiven);
  document.hidden = true;
  document.dispatchEvent(new Event('visibilitychange'));
  assert.equal(await work, 'given');
  document.hidden = false;
  work = whileVisible(stop.signal, untilGiven);
  stop.abort();
  assert.equal(await work, 'given');
});

test('it does not begin for good where that was before', async () => {
  page(false);
  assert.equal(await whileVisible(AbortSignal.abort(), untilGiven), 'given');
  page(true);
  assert.equal(await whileVisible(new AbortController().signal, untilGiven), 'given');
});

test('the signal is given once the work has ended, or failed', async () => {
  page(false);
  let seen = null;
  await whileVisible(new AbortController().signal, async signal => { seen = signal; });
  assert.ok(seen.aborted);
  await assert.rejects(whileVisible(new AbortController().signal, async signal => {
    seen = signal;
    throw new Error('x');
  }), /x/);
  assert.ok(seen.aborted);
});
