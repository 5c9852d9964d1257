/* Work that is called off by a signal. */

export const stopped = () => new DOMException('stopped', 'AbortError');

export const sleep = (ms, signal) => new Promise((done, fail) => {
  if (signal.aborted) {
    fail(stopped());
    return;
  }
  const stop = () => {
    clearTimeout(timer);
    fail(stopped());
  };
  const timer = setTimeout(() => {
    signal.removeEventListener('abort', stop);
    done();
  }, ms);
  signal.addEventListener('abort', stop, {once: true});
});
