// A long list: only the rows in sight are in the document. Arrows move
// between rows; the menu of a row opens by its button, a right click, a long
// press, or the menu key. On narrow screens a row is a card.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../base/html.js';
import { memo } from '../base/memo.js';
import { T } from '../texts.js';
import { Icon } from './icon.js';
import { useLongPress } from './long_press.js';
import { openMenu, openMenuAt } from './menu.js';
import { Empty, ProblemBox } from './problem.js';

const SPARE = 8; // rows above and below the window
const SPARE_AT_ONCE = 1; // after a jump; the others follow after SOON_MS
const FEW = 80; // so many are simply drawn
const SOON_MS = 50;
const STEP = 4;
const AHEAD = 24; // so near to the end the next page is asked for

// top: rows above the upper edge of the screen.
const windowAt = (top, height, spare) => ({
  first: Math.floor(Math.max(0, top - spare) / STEP) * STEP,
  rows: Math.ceil(innerHeight / height) + 2 * spare + STEP,
});

// Which rows are in sight, from where the table's body is. That is measured when
// it may have moved; rows that are added behind the others do not move it.
// loadMore(): called near the end, at once: a page that is here already is drawn
// in the same frame as the rows before it.
function useWindow(body, n, loadMore) {
  const [sight, setSight] = useState({ first: 0, rows: FEW });
  const height = useRef(44);
  const now = useRef({ n: 0 });
  const wasN = now.current.n;
  Object.assign(now.current, { n, sight, loadMore });
  const measure = () => {
    if (!body.current) return;
    // none is drawn where a shorter list took the place of a long one
    const row = body.current.querySelector('tr[data-row]');
    height.current = row?.offsetHeight || height.current;
    const top = -body.current.getBoundingClientRect().top / height.current;
    const wide = windowAt(top, height.current, SPARE);
    const old = now.current.sight;
    const isJump = wide.first >= old.first + old.rows || wide.first + wide.rows <= old.first;
    const next = isJump ? windowAt(top, height.current, SPARE_AT_ONCE) : wide;
    clearTimeout(now.current.later);
    if (isJump) now.current.later = setTimeout(measure, SOON_MS);
    if (next.first !== old.first || next.rows !== old.rows) setSight(next);
    if (row && next.first + next.rows > now.current.n - AHEAD) now.current.loadMore();
  };
  useLayoutEffect(() => {
    if (n < wasN || wasN === 0) measure();
  }, [n]);
  useLayoutEffect(() => {
    addEventListener('scroll', measure, { passive: true });
    addEventListener('resize', measure);
    return () => {
      clearTimeout(now.current.later);
      removeEventListener('scroll', measure);
      removeEventListener('resize', measure);
    };
  }, []);
  const { first, rows } = sight;
  return n <= FEW ? [0, n, height.current] : [Math.min(first, n), Math.min(first + rows, n), height.current];
}

// Which element of the table shows which item: an item stays in its own for as
// long as it is in sight; one that comes takes over that of one that went, whose
// texts are changed then, which costs less than new elements. But for the row with
// the focus: the focus must not get to another item.
function useSlots(body) {
  const slots = useRef({ of: new Map(), n: 0 }).current;
  return (ids) => {
    const wanted = new Set(ids);
    const row = body.current?.contains(document.activeElement) && document.activeElement.closest('tr');
    const free = [];
    for (const [id, slot] of slots.of) if (!wanted.has(id)) {
      slots.of.delete(id);
      if (String(slot) !== row?.dataset?.row) free.push(slot);
    }
    let next = 0;
    for (const id of ids) if (!slots.of.has(id)) {
      slots.of.set(id, next < free.length ? free[next] : slots.n++);
      next += 1;
    }
    return slots.of;
  };
}

const Spacer = ({ rows, height, columns }) => rows > 0 && html`<tr class="spacer" aria-hidden="true">
  <td colspan=${columns} style=${{ height: `${rows * height}px` }}></td></tr>`;

// Keys of the row that has the focus: what keys[letter] does with its item.
function onRowKey(event, item, keys) {
  if (event.ctrlKey || event.altKey || event.metaKey || !event.target.matches('[data-main]')) return;
  const run = keys[event.key.toLowerCase()];
  if (!run) return;
  event.preventDefault();
  run(item);
}

function moveFocus(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const row = event.target.closest('tr[data-row]');
  if (!step || !row || event.target.matches('input[type=text], select')) return;
  const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
  const to = next?.querySelector('[data-main]');
  if (!to) return;
  event.preventDefault();
  to.focus();
}

function Heading({ column, order, onOrder }) {
  if (!column.sorts)
    return html`<th role="columnheader" scope="col" class=${`c-${column.key}`}>
      ${column.unseen ? html`<span class="unseen">${column.label}</span>` : column.label}</th>`;
  return html`<th role="columnheader" scope="col" class=${`c-${column.key}`}
      aria-sort=${order === 'asc' ? 'ascending' : 'descending'}>
    <button type="button" class="sort" onClick=${() => onOrder(order === 'asc' ? '' : 'asc')}>
      ${column.label}<${Icon} name=${order === 'asc' ? 'up' : 'down'} /></button></th>`;
}

function Check({ isSelected, label, onToggle }) {
  return html`<td role="cell" class="c-check"><label class="check">
    <input type="checkbox" checked=${isSelected} aria-label=${T.table.select(label)}
      onClick=${(e) => onToggle(e.shiftKey)} /></label></td>`;
}

// table: what the table was drawn with last ({ nameOf, menu, selection, keys,
// onOpen }), the same object each time. isSelected: null: nothing can be selected.
const Row = memo(({ item, index, slot, columns, isSelected, hasMenu, table }) => {
  const label = table.nameOf(item);
  const show = (event) => {
    if (event.target.closest('input')) return;
    event.preventDefault();
    const box = event.target.getBoundingClientRect();
    // by keyboard there is no pointer
    const keyed = event.button !== 2 && event.clientX === 0;
    openMenu({ x: keyed ? box.left : event.clientX, y: keyed ? box.bottom : event.clientY,
      items: table.menu(item), label: T.table.actions(label) });
  };
  const press = useLongPress(show);
  const open = (event) => {
    if (table.onOpen && !event.target.closest('a, button, input, label')) table.onOpen(item);
  };
  return html`<tr role="row" data-row=${slot} aria-rowindex=${index + 2} class=${isSelected ? 'selected' : ''}
      ...${hasMenu && press} onKeyDown=${(e) => onRowKey(e, item, table.keys || {})} onDblClick=${open}>
    ${isSelected !== null && html`<${Check} isSelected=${isSelected} label=${label}
      onToggle=${(withRange) => table.selection.toggle(index, withRange)} />`}
    ${columns.map((c) => html`<td role="cell" class=${`c-${c.key}`} data-label=${c.label}>${c.cell(item)}</td>`)}
    ${hasMenu && html`<td role="cell" class="c-menu"><button type="button" class="plain"
      aria-haspopup="menu" aria-label=${T.table.actions(label)}
      onClick=${(e) => openMenuAt(e.currentTarget, table.menu(item), T.table.actions(label))}>
      <${Icon} name="more" /></button></td>`}
  </tr>`;
});

// list: of useList; columns: [{ key, label, cell(item), sorts, unseen }], the
// same array as long as the cells of an item are the same (useMemo): then only
// rows whose item changed are drawn again; one cell of each row has a control with data-main. nameOf(item): for people
// who do not see the row. selection: of useSelection. keys: { letter: what it
// does with the item of the row that has the focus }.
export function Table({ label, list, columns, nameOf, idOf = (i) => i.id, menu, selection,
  order, onOrder, onOpen, keys, empty }) {
  const body = useRef(null);
  const items = list.items || [];
  const [first, last, height] = useWindow(body, items.length, list.loadMore);
  const shown = items.slice(first, last);
  const slots = useSlots(body)(shown.map(idOf));
  const table = useRef({}).current;
  Object.assign(table, { nameOf, menu, selection, keys, onOpen });
  const n = columns.length + (selection ? 1 : 0) + (menu ? 1 : 0);
  useEffect(() => {
    if (last > items.length - AHEAD) list.loadMore();
  }, [last, items.length]);
  if (list.problem && !list.items)
    return html`<${ProblemBox} problem=${list.problem} onRetry=${list.retry} />`;
  if (list.items?.length === 0) return html`<${Empty} title=${empty.title}>${empty.text}<//>`;
  const said = list.items === null ? T.table.loading
    : list.more ? T.table.soMany(items.length) : T.table.all(items.length);
  return html`<div class="table-box">
    <table role="table" aria-label=${label} aria-busy=${list.items === null}
        aria-rowcount=${list.more ? -1 : items.length + 1}>
      <thead role="rowgroup"><tr role="row" aria-rowindex="1">
        ${selection && html`<th role="columnheader" class="c-check"><label class="check">
          <input type="checkbox" aria-label=${T.table.selectAll} checked=${selection.all}
            onClick=${selection.toggleAll} /></label></th>`}
        ${columns.map((c) => html`<${Heading} key=${c.key} column=${c} order=${order} onOrder=${onOrder} />`)}
        ${menu && html`<th role="columnheader" class="c-menu"><span class="unseen">${T.table.menu}</span></th>`}
      </tr></thead>
      <tbody role="rowgroup" ref=${body} onKeyDown=${moveFocus}>
        ${list.items === null && [0, 1, 2, 3, 4, 5].map((i) => html`<tr key=${i} class="ghost" aria-hidden="true">
          <td colspan=${n}><span></span></td></tr>`)}
        <${Spacer} rows=${first} height=${height} columns=${n} />
        ${shown.map((item, i) => html`<${Row} key=${slots.get(idOf(item))} slot=${slots.get(idOf(item))} item=${item}
          index=${first + i} columns=${columns} isSelected=${selection ? selection.has(item) : null}
          hasMenu=${Boolean(menu)} table=${table} />`)}
        <${Spacer} rows=${items.length - last} height=${height} columns=${n} />
      </tbody>
    </table>
    ${list.problem && html`<${ProblemBox} problem=${list.problem} onRetry=${list.retry} />`}
    <p class="unseen" role="status">${said}</p>
    ${list.items && html`<p class="table-foot" key=${items.length} aria-hidden="true">${said}</p>`}
  </div>`;
}
