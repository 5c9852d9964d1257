/* Signed links of recordings, replaced before they die (T6), so that whoever
 * reads a file never waits for a new one. */

import {rememberOrigin} from './files_origin.js';

const RENEW_SHARE = 0.3; /* of a link's life before its end */

export class Links {
  /* ask(id, isAhead): resolves to {url, expires_at}; isAhead: it may never be
   * used. now: Unix milliseconds. */
  constructor(ask, now = Date.now) {
    this.ask = ask;
    this.now = now;
    this.known = new Map(); /* id -> {url, bornMs, diesMs, next: promise} */
    this.asked = new Map(); /* id -> promise of its link, until it is there */
    this.renewed = 0;
  }

  /* One request per recording at a time: each link is an entry in the audit log. */
  fetchLink(id, isAhead = false) {
    if (!this.asked.has(id))
      this.asked.set(id, this.fetchNow(id, isAhead).finally(() => this.asked.delete(id)));
    return this.asked.get(id);
  }

  async fetchNow(id, isAhead) {
    const bornMs = this.now();
    const answer = await this.ask(id, isAhead);
    const link = {url: answer.url, bornMs, diesMs: Date.parse(answer.expires_at), next: null};
    this.known.set(id, link);
    rememberOrigin(link.url);
    return link;
  }

  isDue(link) {
    const life = link.diesMs - link.bornMs;
    return this.now() >= link.diesMs - life * RENEW_SHARE;
  }

  /* A living link. One that is near its end is given out while the next one is
   * asked for. */
  async url(id, isAhead = false) {
    const link = this.known.get(id);
    if (!link || this.now() >= link.diesMs)
      return (await this.fetchLink(id, isAhead)).url;
    if (this.isDue(link) && !link.next)
      link.next = this.fetchLink(id).then(
        () => { this.renewed++; }, () => { link.next = null; });
    return link.url;
  }

  /* A living link that is here already, or null. */
  here(id) {
    const link = this.known.get(id);
    return link && this.now() < link.diesMs && !this.isDue(link) ? link.url : null;
  }

  /* Asks for those that are near their end, without being asked for one. */
  renew() {
    for (const [id, link] of this.known)
      if (this.isDue(link) && this.now() < link.diesMs)
        this.url(id).catch(() => {});
  }

  /* The server did not take it, or the file went elsewhere. */
  forget(id) {
    this.known.delete(id);
  }

  /* Forgets all but those of these recordings. */
  keep(ids) {
    for (const id of this.known.keys())
      if (!ids.includes(id))
        this.known.delete(id);
  }
}
