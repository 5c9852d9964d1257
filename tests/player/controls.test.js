/* keys.js and links.js. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {KEYS, findKey} from '../keys.js';
import {Links} from '../links.js';

const press = (key, more = {}) => ({key, target: {tagName: 'DIV'}, ...more});

test('each key does one thing', () => {
  const all = KEYS.flatMap(k => k.keys);
  assert.equal(new Set(all).size, all.length);
  for (const row of KEYS)
    for (const key of row.keys) {
      const event = key.startsWith('Shift+') ? press(key.slice(6), {shiftKey: true}) : press(key);
      assert.equal(findKey(event, true).does, row.does, key);
    }
  assert.equal(findKey(press('K', {shiftKey: true}), true).does, 'toggle');
  assert.equal(findKey(press('q'), true), null);
  assert.equal(findKey(press('7'), true).key, '7');
});

test('nothing happens while somebody types, or with another modifier', () => {
  for (const target of [{tagName: 'INPUT', type: 'text'}, {tagName: 'TEXTAREA'}, {tagName: 'SELECT'},
    {tagName: 'DIV', isContentEditable: true}])
    assert.equal(findKey(press('k', {target}), true), null);
  for (const more of [{ctrlKey: true}, {altKey: true}, {metaKey: true}, {isComposing: true}])
    assert.equal(findKey(press('k', more), true), null);
  assert.equal(findKey(press('k', {target: {tagName: 'INPUT', type: 'checkbox'}}), true).does, 'toggle');
});

test('a space presses the button that has the focus', () => {
  assert.equal(findKey(press(' ', {target: {tagName: 'BUTTON'}}), true), null);
  assert.equal(findKey(press(' '), true).does, 'toggle');
});

test('keys of one letter can be switched off, others stay', () => {
  for (const key of ['k', 'j', ',', '?', '5', '>'])
    assert.equal(findKey(press(key), false), null, key);
  for (const key of [' ', 'ArrowLeft', 'Home'])
    assert.notEqual(findKey(press(key), false), null, key);
});

/* A console whose clock is ours and whose links live 100 s. */
function rig() {
  const r = {now: 0, asked: 0, fails: false, waiting: []};
  r.links = new Links(async () => {
    r.asked++;
    if (r.fails)
      throw new Error('no');
    return {url: 'u' + r.asked, expires_at: new Date(r.now + 100000).toISOString()};
  }, () => r.now);
  return r;
}

test('a link is replaced before it dies, and nobody waits for it', async () => {
  const r = rig();
  assert.equal(await r.links.url('a'), 'u1');
  r.now = 60000;
  assert.equal(await r.links.url('a'), 'u1');
  assert.equal(r.asked, 1);
  r.now = 75000;
  assert.equal(await r.links.url('a'), 'u1', 'the old one, while the next one comes');
  await new Promise(setImmediate);
  assert.equal(await r.links.url('a'), 'u2');
  assert.equal(r.asked, 2);
});

test('a dead one is not given out', async () => {
  const r = rig();
  await r.links.url('a');
  r.now = 100000;
  assert.equal(await r.links.url('a'), 'u2');
});

test('a console that is away is asked again, and the old link used until it dies', async () => {
  const r = rig();
  await r.links.url('a');
  r.fails = true;
  for (r.now = 75000; r.now < 100000; r.now += 5000) {
    assert.equal(await r.links.url('a'), 'u1');
    await new Promise(setImmediate);
  }
  assert.equal(r.asked, 6);
  r.now = 100000;
  await assert.rejects(r.links.url('a'));
  r.fails = false;
  assert.match(await r.links.url('a'), /^u/);
});

test('renew() replaces without being asked for one', async () => {
  const r = rig();
  await r.links.url('a');
  await r.links.url('b');
  r.now = 80000;
  r.links.renew();
  await new Promise(setImmediate);
  assert.equal(r.asked, 4);
  r.now = 120000;
  assert.equal(await r.links.url('a'), 'u3');
  assert.equal(r.asked, 4);
});

test('forgotten ones are asked for anew', async () => {
  const r = rig();
  await r.links.url('a');
  r.links.forget('a');
  assert.equal(await r.links.url('a'), 'u2');
});

test('only links that are used are renewed', async () => {
  const r = rig();
  await r.links.url('a');
  await r.links.url('b');
  r.links.keep(['b', 'c']);
  r.now = 80000;
  r.links.renew();
  await new Promise(setImmediate);
  assert.equal(r.asked, 3);
  assert.equal(await r.links.url('a'), 'u4', 'asked for anew when it is needed');
});

test('brackets on AltGr are keys of the player', () => {
  const altGr = {ctrlKey: true, altKey: true, getModifierState: m => m === 'AltGraph'};
  assert.equal(findKey(press('[', altGr), true).end, 'fromMs');
  assert.equal(findKey(press(']', altGr), true).end, 'toMs');
  assert.equal(findKey(press('[', {ctrlKey: true, getModifierState: () => false}), true), null);
});
