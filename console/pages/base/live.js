// What changes while somebody looks: events of the console (docs/api.md), from
// the stream that all tabs share. While there is none, views ask again every
// few seconds.
import { useEffect } from './html.js';
import { createStore, useStore } from './store.js';

const POLL_MS = 5000;
const TOGETHER_MS = 400; // so many events are one refresh

export const stream = createStore('lost');
const followers = new Set();
let port = null;
let onRefused = () => {};

function take({ data }) {
  if (data.state) stream.set(data.state);
  else if (data.refused) onRefused();
  else for (const follower of [...followers]) follower(data.name, data.data);
}

function connect() {
  const worker = new SharedWorker(new URL('stream_worker.js', import.meta.url), { name: 'relaycam' });
  port = worker.port;
  port.addEventListener('message', take);
  port.start();
}

function leave() {
  port?.postMessage('bye');
  port?.close();
  port = null;
  stream.set('lost');
}

// Somebody logged in. refused: what to do when the console ends the stream.
export function startLive(refused) {
  onRefused = refused;
  if (!window.SharedWorker) return;
  if (port) port.postMessage('restart');
  else connect();
}

export const stopLive = leave;

// a page that is kept in the history comes back with its port closed
addEventListener('pagehide', leave);
addEventListener('pageshow', (event) => {
  if (event.persisted && window.SharedWorker) connect();
});

function follow(follower) {
  followers.add(follower);
  return () => followers.delete(follower);
}

// Runs `run` at most once per `ms`, and once more after the last call.
export function together(run, ms) {
  let timer = 0;
  const call = () => {
    timer ||= setTimeout(() => {
      timer = 0;
      run();
    }, ms);
  };
  call.cancel = () => clearTimeout(timer);
  return call;
}

// onEvent(name, data) as events come; refresh() after a gap in the stream and
// while there is no stream. Both of the last drawing.
export function useEvents(refresh, onEvent, deps) {
  const state = useStore(stream);
  useEffect(() => follow((name, data) => {
    if (name === 'ready' || name === 'reset') refresh().catch(() => {});
    else onEvent(name, data);
  }), deps);
  useEffect(() => {
    if (state === 'open') return undefined;
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') refresh().catch(() => {});
    }, POLL_MS);
    return () => clearInterval(timer);
  }, [state, ...deps]);
}

// refresh() when an event says that something changed that it shows.
export function useLive(refresh, concerns, deps, ms = TOGETHER_MS) {
  useEffect(() => {
    const soon = together(() => refresh().catch(() => {}), ms);
    const end = follow((name, data) => {
      if (name === 'ready' || name === 'reset' || concerns(name, data)) soon();
    });
    return () => {
      soon.cancel();
      end();
    };
  }, deps);
  useEvents(refresh, () => {}, deps);
}
