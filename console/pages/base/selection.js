// Which items of a list are selected; Shift selects a range.
import { useEffect, useRef, useState } from './html.js';

export function useSelection(list, resetKey) {
  const [ids, setIds] = useState(new Set());
  const last = useRef(0);
  useEffect(() => setIds(new Set()), [resetKey]);
  const items = list.items || [];
  const chosen = ids.size > 0 ? items.filter((item) => ids.has(item.id)) : [];
  return {
    items: chosen,
    has: (item) => ids.has(item.id),
    all: items.length > 0 && chosen.length === items.length,
    clear: () => setIds(new Set()),
    toggle(index, withRange) {
      const next = new Set(ids);
      const on = !ids.has(items[index].id);
      const [from, to] = withRange ? [last.current, index].sort((a, b) => a - b) : [index, index];
      for (const item of items.slice(from, to + 1)) {
        if (on) next.add(item.id);
        else next.delete(item.id);
      }
      last.current = index;
      setIds(next);
    },
    toggleAll() {
      setIds(chosen.length === items.length ? new Set() : new Set(items.map((item) => item.id)));
    },
  };
}
