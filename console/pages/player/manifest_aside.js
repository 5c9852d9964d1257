/* checkManifest() in a worker: that of a day is megabytes of JSON, and would
 * stop the page for seconds. */
import {checkManifest} from './manifest.js';

let worker = null;
const waiting = new Map();
let last = 0;

/* Whoever waits is answered here, without a worker. */
function giveUp() {
  worker = null;
  for (const {args, done} of waiting.values())
    done(checkManifest(...args));
  waiting.clear();
}

function start() {
  worker = new Worker(new URL('manifest_worker.js', import.meta.url), {type: 'module'});
  worker.onmessage = ({data: {n, found}}) => {
    waiting.get(n)?.done(found);
    waiting.delete(n);
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
