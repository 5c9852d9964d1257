// What changes while somebody looks. Asks again every few seconds while the
// tab is seen.
import { useEffect } from './html.js';

const EVERY_MS = 3000;

// Calls refresh now and then; it returns a promise.
export function useLive(refresh, deps) {
  useEffect(() => {
    let timer = 0;
    let stopped = false;
    const tick = async () => {
      if (document.visibilityState === 'visible') await refresh().catch(() => {});
      if (!stopped) timer = setTimeout(tick, EVERY_MS);
    };
    timer = setTimeout(tick, EVERY_MS);
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, deps);
}
