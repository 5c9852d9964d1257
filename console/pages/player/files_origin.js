/* Where signed links led last: a page that will soon read a file connects to that
 * server while it waits for the link. */

const NAME = 'relaycam-files-origin';

export function rememberOrigin(url) {
  try {
    const {origin} = new URL(url);
    if (localStorage.getItem(NAME) !== origin)
      localStorage.setItem(NAME, origin);
  } catch { /* without storage each page connects when it has a link */ }
}

/* Opens a connection that the next fetch() without credentials uses. */
export function connectToFiles() {
  let origin = null;
  try {
    origin = localStorage.getItem(NAME);
  } catch { /* as above */ }
  if (!origin)
    return;
  const hint = document.createElement('link');
  hint.rel = 'preconnect';
  hint.crossOrigin = 'anonymous';
  hint.href = origin;
  document.head.append(hint);
  hint.remove();
}
