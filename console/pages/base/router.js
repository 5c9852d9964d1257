// The address bar: which view is shown, and with which filters.
import { createStore } from './store.js';

const read = () => ({
  path: location.pathname,
  query: Object.fromEntries(new URLSearchParams(location.search)),
  key: history.state?.key || 0,
});

export const route = createStore(read());
let key = Number(history.state?.key || 0);
let onNavigate = () => {};

// Called with the address (URL) that is about to be shown.
export function setOnNavigate(callback) {
  onNavigate = callback;
}

addEventListener('popstate', () => route.set(read()));

export function navigate(to, { replace = false } = {}) {
  key += 1;
  if (!replace) onNavigate(new URL(to, location.href));
  if (replace) history.replaceState({ key }, '', to);
  else history.pushState({ key }, '', to);
  route.set(read());
  if (!replace) scrollTo(0, 0);
}

// The same view with other filters; no entry in the history.
export function setQuery(query) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) params.set(name, value);
  const text = params.toString();
  navigate(location.pathname + (text ? `?${text}` : ''), { replace: true });
}

// Links within the console do not load the page again.
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href]');
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
  if (link.pathname.startsWith('/api/')) return;
  if (link.hash && link.pathname === location.pathname) return;
  event.preventDefault();
  navigate(link.pathname + link.search + link.hash);
});

// The parts of a path; null for what is no UTF-8.
function wordsOf(path) {
  try {
    return path.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return null;
  }
}

// patterns: [['sessions', ':id'], value]; returns { value, params } or null.
export function match(path, patterns) {
  const words = wordsOf(path);
  if (!words) return null;
  for (const [pattern, value] of patterns) {
    const parts = pattern.split('/').filter(Boolean);
    if (parts.length !== words.length) continue;
    const params = {};
    const fits = parts.every((part, i) => {
      if (!part.startsWith(':')) return part === words[i];
      params[part.slice(1)] = words[i];
      return true;
    });
    if (fits) return { value, params };
  }
  return null;
}
