/* What the player asks of the console (docs/api.md). api: get(path, query) and
 * post(path, body) of base/api.js, or the like. */

export class PlayerApi {
  constructor(api) {
    this.api = api;
  }

  /* All pages. Activity makes the answer for a day a thousand times as long. */
  async timeline(id, activity) {
    const pages = [];
    let cursor;
    do {
      pages.push(await this.api.get(`sessions/${id}/timeline`, {cursor, activity}));
      cursor = pages[pages.length - 1].cursor;
    } while (cursor);
    return pages;
  }

  /* disposition: 'attachment': browsers save it. isAhead: the page may never be
   * shown; the audit log says so. */
  link(recording, disposition = 'inline', isAhead = false) {
    return this.api.post(`recordings/${recording}/links`, {disposition, ahead: isAhead});
  }

  manifest(recording) {
    return this.api.get(`recordings/${recording}/manifest`);
  }

  /* A range of it, in its milliseconds, as a file with a manifest. */
  clip(recording, fromMs, toMs, reason) {
    return this.api.post(`recordings/${recording}/clips`,
      {from_ms: fromMs, to_ms: toMs, reason});
  }

  async notes(recording) {
    return (await this.api.get(`recordings/${recording}/notes`)).items;
  }

  addNote(recording, atMs, text) {
    return this.api.post(`recordings/${recording}/notes`,
      {at_ms: Math.max(0, Math.round(atMs)), text});
  }

  posterUrl(recording) {
    return `/api/v1/recordings/${recording}/poster`;
  }
}
