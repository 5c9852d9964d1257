// A menu at the pointer or below a button: arrows, Home, End, Escape; focus
// goes back to where it was.
import { html, useEffect, useLayoutEffect, useRef } from '../base/html.js';
import { createStore, useStore } from '../base/store.js';
import { Icon } from './icon.js';

const open = createStore(null);
const MARGIN = 8;

// items: [{ label, icon, run, disabled, why, danger } or null for a line]
export function openMenu({ x, y, items, label }) {
  open.set({ x, y, items, label, back: document.activeElement });
}

// Below (or above) a button.
export function openMenuAt(button, items, label) {
  const box = button.getBoundingClientRect();
  openMenu({ x: box.left, y: box.bottom + 4, items, label });
}

export function closeMenu() {
  const menu = open.get();
  if (!menu) return;
  open.set(null);
  menu.back?.focus?.({ preventScroll: true });
}

function place(element, { x, y }) {
  const box = element.getBoundingClientRect();
  const left = Math.max(MARGIN, Math.min(x, innerWidth - box.width - MARGIN));
  const top = y + box.height + MARGIN > innerHeight
    ? Math.max(MARGIN, innerHeight - box.height - MARGIN) : y;
  element.style.left = `${left}px`;
  element.style.top = `${top}px`;
}

function onKey(event, list) {
  const entries = [...list.querySelectorAll('[role=menuitem]')];
  const at = entries.indexOf(document.activeElement);
  const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1 };
  if (event.key in steps) {
    entries.at(steps[event.key] % entries.length).focus();
  } else if (event.key === 'Escape' || event.key === 'Tab') {
    closeMenu();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

export function MenuHost() {
  const menu = useStore(open);
  const list = useRef(null);
  useLayoutEffect(() => {
    if (!menu) return;
    place(list.current, menu);
    list.current.querySelector('[role=menuitem]')?.focus({ preventScroll: true });
  }, [menu]);
  useEffect(() => {
    if (!menu) return undefined;
    const outside = (event) => {
      if (!list.current?.contains(event.target)) open.set(null);
    };
    document.addEventListener('pointerdown', outside, true);
    addEventListener('resize', closeMenu);
    addEventListener('wheel', outside, { passive: true });
    return () => {
      document.removeEventListener('pointerdown', outside, true);
      removeEventListener('resize', closeMenu);
      removeEventListener('wheel', outside);
    };
  }, [menu]);
  if (!menu) return null;
  const run = (item) => {
    if (item.disabled) return;
    closeMenu();
    item.run();
  };
  return html`<div class="menu" role="menu" aria-label=${menu.label} ref=${list}
      onKeyDown=${(e) => onKey(e, list.current)} onContextMenu=${(e) => e.preventDefault()}>
    ${menu.items.map((item) => (item === null
    ? html`<div role="separator" class="line"></div>`
    : html`<button type="button" role="menuitem" tabindex="-1" class=${item.danger ? 'danger' : ''}
        aria-disabled=${item.disabled ? 'true' : undefined} title=${item.disabled ? item.why : undefined}
        onClick=${() => run(item)}><${Icon} name=${item.icon} />${item.label}</button>`))}
  </div>`;
}
