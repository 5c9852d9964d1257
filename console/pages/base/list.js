// A list of the API, page by page, kept as it is at the console.
import { useCallback, useEffect, useRef, useState } from './html.js';
import { get } from './api.js';
import { together, useEvents } from './live.js';

const PAGE = 100;
const SOON_MS = 700;

// The first page anew, in front of what was loaded behind it. null: there is
// a hole between both.
function merge(first, old) {
  const last = first.at(-1);
  if (!last) return [];
  const at = old.findIndex((item) => item.id === last.id);
  if (at < 0) return null;
  const seen = new Set(first.map((item) => item.id));
  return [...first, ...old.slice(at + 1).filter((item) => !seen.has(item.id))];
}

const isSameItem = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);
const isSameList = (a, b) => a.length === b.length && a.every((item, i) => isSameItem(item, b[i]));

// query: filters; changes begin a new list. onEvent(name, data, list): what an
// event means for it, by list.put and list.refreshSoon. Returns { items (null:
// not here yet), more, busy, problem, loadMore, refresh, refreshSoon, put, has }.
export function useList(path, query, onEvent = () => {}) {
  const [state, setState] = useState({ items: null, cursor: null, problem: null, busy: true });
  const now = useRef(state);
  const key = JSON.stringify([path, query]);
  const run = useRef(0);
  const soon = useRef(null);
  const change = (part) => {
    now.current = { ...now.current, ...part };
    setState(now.current);
  };

  // A page may be empty where the list goes on: a request reads so many rows.
  const fetchPage = async (cursor) => {
    const mine = run.current;
    let page = await get(path, { ...query, limit: PAGE, cursor });
    while (page.items.length === 0 && page.cursor && mine === run.current)
      page = await get(path, { ...query, limit: PAGE, cursor: page.cursor });
    return page;
  };

  // Who has scrolled once scrolls on: the page behind is asked for ahead.
  const ahead = useRef(null);
  const askAhead = (cursor) => {
    ahead.current = cursor ? { cursor, page: fetchPage(cursor) } : null;
    ahead.current?.page.catch(() => {});
  };
  const takeAhead = (cursor) => {
    const asked = ahead.current;
    ahead.current = null;
    return asked?.cursor === cursor ? asked.page.catch(() => fetchPage(cursor)) : fetchPage(cursor);
  };

  const load = useCallback(async () => {
    const mine = ++run.current;
    ahead.current = null;
    change({ busy: true, problem: null });
    try {
      const page = await fetchPage();
      if (mine === run.current) change({ items: page.items, cursor: page.cursor, busy: false });
    } catch (problem) {
      if (mine === run.current) change({ problem, busy: false });
    }
  }, [key]);

  useEffect(() => {
    change({ items: null, cursor: null });
    load();
  }, [key]);

  const loadMore = useCallback(async () => {
    const { busy, cursor, problem } = now.current;
    if (busy || !cursor || problem) return;
    const mine = run.current;
    now.current = { ...now.current, busy: true }; // nothing to draw
    try {
      const page = await takeAhead(cursor);
      if (mine !== run.current) return;
      const seen = new Set(now.current.items.map((item) => item.id));
      change({ items: [...now.current.items, ...page.items.filter((item) => !seen.has(item.id))],
        cursor: page.cursor, busy: false });
      // behind the frame that shows this page
      setTimeout(() => {
        if (mine === run.current && page.cursor === now.current.cursor) askAhead(page.cursor);
      }, 0);
    } catch (error) {
      if (mine === run.current) change({ problem: error, busy: false });
    }
  }, [key]);

  const refresh = useCallback(async () => {
    const mine = run.current;
    if (now.current.busy) {
      soon.current?.();
      return;
    }
    if (!now.current.items) return;
    const page = await fetchPage();
    if (mine !== run.current || now.current.busy) return;
    const items = page.cursor ? merge(page.items, now.current.items) : page.items;
    const next = items
      ? { items, cursor: page.cursor && now.current.cursor }
      : { items: page.items, cursor: page.cursor };
    if (!isSameList(next.items, now.current.items)) change(next);
  }, [key]);

  // One item as it is now; null: it is gone.
  const put = useCallback((id, item) => {
    const items = now.current.items || [];
    change({
      items: item
        ? items.map((old) => (old.id === id ? item : old))
        : items.filter((old) => old.id !== id),
    });
  }, [key]);

  const has = (id) => now.current.items?.some((item) => item.id === id);
  useEffect(() => {
    soon.current = together(() => refresh().catch(() => {}), SOON_MS);
    return () => soon.current.cancel();
  }, [key]);
  const refreshSoon = () => soon.current();
  useEvents(refresh, (name, data) => {
    ahead.current = null; // it may hold what changed
    onEvent(name, data, { put, has, refreshSoon });
  }, [key]);

  const retry = now.current.items ? () => { change({ problem: null }); loadMore(); } : load;
  return { ...state, more: state.cursor !== null, loadMore, refresh, refreshSoon, put, has, retry };
}
