/* checkManifest() in a worker: that of a day is megabytes of JSON, and would
 * stop the page for seconds. */
import {checkManifest} from './manifest.js';

let worker = null;
const waiting = new Map();
let last = 0;

/* Whoever waits is answered here, without a worker. A check that fails, as where
 * a browser knows no Ed25519, is told. */
function giveUp() {
  worker = null;
  for (const {args, done} of waiting.values())
    done(checkManifest(...args));
  waiting.clear();
}

function start() {
  worker = new Worker(new URL('manifest_worker.js', import.meta.url), {type: 'module'});
  worker.onmessage = ({data: {n, found}}) => {
    const one = waiting.get(n);
    waiting.delete(n);
    one?.done(found || checkManifest(...one.args));
  };
  worker.onerror = giveUp;
}

/* As checkManifest(). */
export function checkManifestAside(...args) {
  if (typeof Worker === 'undefined')
    return checkManifest(...args);
  return new Promise(done => {
    waiting.set(++last, {args, done});
    try {
      if (!worker)
        start();
      worker.postMessage({n: last, args});
    } catch {
      giveUp();
    }
  });
}
