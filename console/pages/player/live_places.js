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

/* Runs work(signal) with a signal that is given with `signal`, once the page is
 * hidden, and when work has ended. */
export async function whileVisible(signal, work) {
  const stop = new AbortController();
  const look = () => {
    if (signal.aborted || document.hidden)
      stop.abort();
  };
  document.addEventListener('visibilitychange', look, {signal: stop.signal});
  signal.addEventListener('abort', look, {signal: stop.signal});
  look(); /* it may have been given, or hidden, before there was a place */
  try {
    return await work(stop.signal);
  } finally {
    stop.abort();
  }
}
