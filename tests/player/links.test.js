/* links.js: how often a link is asked for. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {Links} from '../links.js';

function make(lifeMs = 600000) {
  const asked = [];
  let now = 0;
  const links = new Links(async (id, isAhead) => {
    asked.push([id, isAhead]);
    return {url: `https://store/${id}?${asked.length}`, expires_at: new Date(now + lifeMs).toISOString()};
  }, () => now);
  return {asked, links, pass: ms => { now += ms; }};
}

test('who asks while one is on its way gets the same', async () => {
  const {asked, links} = make();
  const urls = await Promise.all([links.url('a', true), links.url('a'), links.url('a')]);
  assert.deepEqual(urls, Array(3).fill('https://store/a?1'));
  assert.deepEqual(asked, [['a', true]]);
});

test('a link that could not be had is asked for again', async () => {
  let n = 0;
  const links = new Links(async () => {
    if (++n === 1)
      throw new Error('busy');
    return {url: 'https://store/a', expires_at: new Date(Date.now() + 600000).toISOString()};
  });
  await assert.rejects(links.url('a'));
  assert.equal(await links.url('a'), 'https://store/a');
});

test('one that is here is given without a wait, unless it is near its end', async () => {
  const {links, pass} = make();
  assert.equal(links.here('a'), null);
  await links.url('a');
  assert.equal(links.here('a'), 'https://store/a?1');
  pass(500000);
  assert.equal(links.here('a'), null);
});
