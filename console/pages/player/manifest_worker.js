/* The worker of manifest_aside.js. */
import {checkManifest} from './manifest.js';

self.onmessage = async ({data: {n, args}}) => {
  /* without found: it could not be checked here */
  self.postMessage({n, found: await checkManifest(...args).catch(() => undefined)});
};
