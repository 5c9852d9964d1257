/* A browser opens six connections to a server, for all its pages together. Each
 * page that follows a recording holds one: no more than PLACES do so, and none
 * that is hidden; the others ask every now and then. */
const PLACES = 4;

/* Runs work while it has a place. False: there is none. */
export async function withPlace(work) {
  if (document.hidden)
    return false;
  if (!navigator.locks) {
    await work();
    return true;
  }
  for (let i = 0; i < PLACES; i++)
    if (await navigator.locks.request(`relaycam-live-${i}`, {ifAvailable: true}, async lock => {
      if (lock)
        await work();
      return lock !== null;
    }))
      return true;
  return false;
}

/* A signal that is given with `signal`, and once the page is hidden. */
export function whileVisible(signal) {
  const stop = new AbortController();
  const onHidden = () => document.hidden && stop.abort();
  const end = () => {
    document.removeEventListener('visibilitychange', onHidden);
    stop.abort();
  };
  document.addEventListener('visibilitychange', onHidden, {signal: stop.signal});
  signal.addEventListener('abort', end, {once: true, signal: stop.signal});
  return stop.signal;
}
