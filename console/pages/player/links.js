/* Signed links of recordings, replaced before they die (T6), so that whoever
 * reads a file never waits for a new one. */

const RENEW_SHARE = 0.3; /* of a link's life before its end */

export class Links {
  /* ask(id): resolves to {url, expires_at}. now: Unix milliseconds. */
  constructor(ask, now = Date.now) {
    this.ask = ask;
    this.now = now;
    this.known = new Map(); /* id -> {url, bornMs, diesMs, next: promise} */
    this.renewed = 0;
  }

  async fetchLink(id) {
    const bornMs = this.now();
    const answer = await this.ask(id);
    const link = {url: answer.url, bornMs, diesMs: Date.parse(answer.expires_at), next: null};
    this.known.set(id, link);
    return link;
  }

  isDue(link) {
    const life = link.diesMs - link.bornMs;
    return this.now() >= link.diesMs - life * RENEW_SHARE;
  }

  /* A living link. One that is near its end is given out while the next one is
   * asked for. */
  async url(id) {
    const link = this.known.get(id);
    if (!link || this.now() >= link.diesMs)
      return (await this.fetchLink(id)).url;
    if (this.isDue(link) && !link.next)
      link.next = this.fetchLink(id).then(
        () => { this.renewed++; }, () => { link.next = null; });
    return link.url;
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
