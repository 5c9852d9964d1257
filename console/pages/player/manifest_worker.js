/* The worker of manifest_aside.js. */
import {checkManifest} from './manifest.js';

self.onmessage = async ({data: {n, args}}) => {
  self.postMessage({n, found: await checkManifest(...args)});
};
