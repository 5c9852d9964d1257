// One event stream for all tabs of the browser: HTTP/1.1 has six connections
// to a server, and each stream holds one. Runs as a SharedWorker.

const NAMES = ['ready', 'session_started', 'session_changed', 'session_ended', 'recording_changed',
  'recording_removed', 'endpoint_changed', 'endpoint_removed', 'reset'];
const AGAIN_MS = 5000;

const ports = new Set();
let source = null;
let timer = 0;
let state = 'lost';

const tell = (message) => {
  for (const port of ports) port.postMessage(message);
};

function setState(next) {
  state = next;
  tell({ state });
}

function stop() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

function start() {
  stop();
  if (ports.size === 0) return;
  source = new EventSource('/api/v1/events');
  for (const name of NAMES)
    source.addEventListener(name, (event) => {
      if (name === 'ready') setState('open');
      tell({ name, data: JSON.parse(event.data) });
    });
  source.addEventListener('error', () => {
    setState('lost');
    // refused: the login has ended, or there are too many streams
    if (source?.readyState !== EventSource.CLOSED) return;
    tell({ refused: true });
    timer = setTimeout(start, AGAIN_MS);
  });
}

function onMessage(port, { data }) {
  if (data === 'bye') {
    ports.delete(port);
    if (ports.size === 0) stop();
  } else if (data === 'restart') {
    start();
  }
}

globalThis.addEventListener('connect', (event) => {
  const port = event.ports[0];
  ports.add(port);
  port.addEventListener('message', (message) => onMessage(port, message));
  port.start();
  port.postMessage({ state });
  if (!source) start();
});
