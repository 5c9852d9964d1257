// Downloads that show how far they are and can be cancelled. Bytes go to a
// private file of the browser first; when all are here, the browser saves
// them under their name. A link that died or a line that broke is no end: the
// rest is asked for with a new link (T6).
import { createStore } from './store.js';
import { newArchive, newDownload } from './recordings.js';
import { Problem } from './api.js';
import { explainRefusal } from '../player/storage_reach.js';
import { T } from '../texts.js';

const AT_ONCE = 2;
const TRIES = 5;
const SHOW_MS = 200;
const KEEP_MS = 120000; // the browser reads the file while it saves it

// { id, name, type, newLink, canResume, bytes, total, state: waiting, running,
//   done, failed, cancelled, problem }
export const downloads = createStore([]);
const controllers = new Map();

function change(id, part) {
  downloads.set(downloads.get().map((d) => (d.id === id ? { ...d, ...part } : d)));
}

export const downloadOf = (id) => downloads.get().find((d) => d.id === id);

// team/endpoint/session/monitor/time.webm, as storage names it
function fileName(recording) {
  const parts = (recording.object_key || '').split('/');
  const name = parts.length === 5 ? [parts[1], parts[3], parts[4]].join('_') : parts.at(-1);
  return name || `${recording.id}.webm`;
}

const PREFIX = 'download-';

// Until the returned function is called, no page takes the file for a left one.
function holdFile(name) {
  return new Promise((held) => {
    if (navigator.locks) navigator.locks.request(name, () => new Promise((release) => held(release)));
    else held(() => {});
  });
}

// Files of pages that were closed during a download.
async function removeLeftFiles() {
  if (!navigator.storage?.getDirectory || !navigator.locks) return;
  const folder = await navigator.storage.getDirectory();
  for await (const name of folder.keys())
    if (name.startsWith(PREFIX))
      await navigator.locks.request(name.split('.')[0], { ifAvailable: true },
        (lock) => lock && folder.removeEntry(name).catch(() => {}));
}
removeLeftFiles().catch(() => {});

// Where the bytes go; memory where the browser has no such files.
async function openSink(id, type) {
  if (!navigator.storage?.getDirectory || !window.FileSystemFileHandle?.prototype.createWritable) {
    const parts = [];
    return {
      write: (data) => parts.push(data),
      take: () => new Blob(parts, { type }),
      drop: () => { parts.length = 0; },
    };
  }
  const folder = await navigator.storage.getDirectory();
  const name = `${PREFIX}${id}-${crypto.randomUUID()}`;
  const release = await holdFile(name);
  const handle = await folder.getFileHandle(name, { create: true });
  const writer = await handle.createWritable();
  const remove = () => folder.removeEntry(name).catch(() => {}).then(release);
  return {
    write: (data) => writer.write(data),
    take: async () => {
      await writer.close();
      setTimeout(remove, KEEP_MS);
      return handle.getFile();
    },
    drop: async () => {
      await writer.abort().catch(() => {});
      remove();
    },
  };
}

// Reads from byte `at` until the end or until the line breaks; returns where.
async function readSome(item, sink, at, signal, onBytes) {
  const link = await item.newLink();
  const response = await fetch(link.url, {
    signal, referrerPolicy: 'no-referrer', headers: at > 0 ? { Range: `bytes=${at}-` } : {},
  }).catch(async (error) => {
    if (signal.aborted) throw error;
    throw new Error(await explainRefusal(link.url), { cause: error });
  });
  if (!response.ok || (at > 0 && response.status !== 206))
    throw new Problem(response.status, { detail: (await response.text()).trim() });
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return at;
    await sink.write(value);
    at += value.length;
    onBytes(at);
  }
}

async function readAll(item, sink, signal) {
  let at = 0;
  let shown = 0;
  const onBytes = (n) => {
    at = n;
    if (performance.now() - shown < SHOW_MS) return;
    shown = performance.now();
    change(item.id, { bytes: n });
  };
  for (let tries = 1; ; tries += 1) {
    const before = at;
    try {
      at = await readSome(item, sink, at, signal, onBytes);
      if (!item.canResume || at >= item.total) return at;
    } catch (error) {
      if (signal.aborted || error instanceof Problem && error.status !== 0) throw error;
      if (!item.canResume || tries >= TRIES) throw error;
    }
    if (at > before) tries = 0;
  }
}

function save(file, name) {
  const url = URL.createObjectURL(file);
  const a = document.createElement('a');
  a.href = url;
  a.download = name;
  document.body.append(a);
  a.click();
  a.remove();
  setTimeout(() => URL.revokeObjectURL(url), KEEP_MS);
}

async function run(item) {
  const controller = new AbortController();
  const { id } = item;
  let sink = null;
  controllers.set(id, controller);
  change(id, { state: 'running', problem: null });
  try {
    sink = await openSink(id, item.type);
    const bytes = await readAll(item, sink, controller.signal);
    save(await sink.take(), item.name);
    change(id, { state: 'done', bytes });
  } catch (error) {
    await sink?.drop();
    change(id, controller.signal.aborted ? { state: 'cancelled' }
      : { state: 'failed', problem: error instanceof Problem ? error
        : new Problem(0, error.cause ? { detail: error.message } : {}) });
  }
  controllers.delete(id);
  next();
}

function next() {
  const list = downloads.get();
  const running = list.filter((d) => d.state === 'running').length;
  for (const d of list.filter((x) => x.state === 'waiting').slice(0, Math.max(0, AT_ONCE - running)))
    run(d);
}

// In place of those of the same that have ended; those under way go on.
function start(items) {
  const list = downloads.get();
  const busy = new Set(list.filter((d) => d.state === 'running' || d.state === 'waiting').map((d) => d.id));
  const fresh = items.filter((r) => !busy.has(r.id));
  const ids = new Set(fresh.map((r) => r.id));
  downloads.set([...list.filter((d) => !ids.has(d.id)), ...fresh.map((item) => ({
    ...item, bytes: 0, state: 'waiting', problem: null,
  }))]);
  next();
}

export const startDownloads = (recordings) => start(recordings.map((r) => ({
  id: r.id, name: fileName(r), type: 'video/webm', total: r.bytes, canResume: true,
  newLink: () => newDownload(r.id),
})));

// As one file. It is made while it is sent, so that it begins anew where it
// broke off; of its size only what the recordings take is known.
export const startArchive = (recordings) => start([{
  id: `zip-${crypto.randomUUID()}`, name: T.downloads.zipName(recordings.length), type: 'application/zip',
  total: recordings.reduce((sum, r) => sum + r.bytes, 0), canResume: false,
  newLink: () => newArchive(recordings.map((r) => r.id)),
}]);

export const tryAgain = (item) => start([item]);

export function cancelDownload(id) {
  if (downloadOf(id)?.state === 'waiting') change(id, { state: 'cancelled' });
  controllers.get(id)?.abort();
}

export function clearDownloads() {
  downloads.set(downloads.get().filter((d) => d.state === 'running' || d.state === 'waiting'));
}

// Whoever leaves the page loses them: asked first.
addEventListener('beforeunload', (event) => {
  if (controllers.size > 0) event.preventDefault();
});
