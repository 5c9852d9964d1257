// Recordings, and signed links to them, which die 10 minutes after they were
// made (T6).
import { get, post } from './api.js';

export const newLink = (id) => post(`recordings/${id}/links`);

// As a file, where the browser saves what it is led to.
export const newDownload = (id) => post(`recordings/${id}/links`, { disposition: 'attachment' });
export const newArchive = (ids) => post('archives', { recordings: ids });

// Only of these there is a file that can be played.
export const isPlayable = (recording) => isStored(recording)
  || ['recording', 'transfer'].includes(recording.status);
export const isStored = (recording) => ['available', 'downloading'].includes(recording.status);

// Of a session, in the order of time. A session of a day has some dozens.
export async function allFiles(id) {
  const items = [];
  let cursor = null;
  do {
    const page = await get('recordings', { session: id, order: 'asc', limit: 200, cursor });
    items.push(...page.items);
    cursor = page.cursor;
  } while (cursor);
  return items;
}

