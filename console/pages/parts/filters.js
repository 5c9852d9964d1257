// Filters of a list, kept in the address bar.
import { html, useEffect, useRef, useState, useId } from '../base/html.js';
import { memo } from '../base/memo.js';
import { route, setQuery } from '../base/router.js';
import { useStore } from '../base/store.js';
import { Icon } from './icon.js';
import { T } from '../texts.js';

const TYPING_MS = 300;

function Field({ name, label, type = 'text', options, suggest, value, onChange, wide }) {
  const id = useId();
  const [text, setText] = useState(value);
  const timer = useRef(0);
  useEffect(() => setText(value), [value]);
  const later = (next) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onChange(name, next.trim()), TYPING_MS);
  };
  return html`<div class=${wide ? 'field wide' : 'field'}>
    <label for=${id}>${label}</label>
    ${options
    ? html`<select id=${id} name=${name} value=${value} onChange=${(e) => onChange(name, e.target.value)}>
        <option value="">${T.filters.any}</option>
        ${options.map(([v, text]) => html`<option key=${v} value=${v} selected=${v === value}>${text}</option>`)}
      </select>`
    : html`<input id=${id} name=${name} type=${type} value=${text} autocomplete="off" spellcheck=${false}
        list=${suggest && `${id}-list`} onInput=${(e) => later(e.target.value)} />
      ${suggest && html`<datalist id=${`${id}-list`}>${suggest.map((s) => html`<option key=${s} value=${s} />`)}</datalist>`}`}
  </div>`;
}

// fields: [{ name, label, type, options }]; returns nothing: the query of the
// route is the state.
export const Filters = memo(({ fields, children }) => {
  const { query } = useStore(route);
  const change = (name, value) => setQuery({ ...route.get().query, [name]: value });
  const [isOpen, setOpen] = useState(false);
  const set = fields.filter((f) => query[f.name]).length;
  return html`<form class=${isOpen ? 'filters open' : 'filters'} role="search" aria-label=${T.filters.label} onSubmit=${(e) => e.preventDefault()}>
    <button type="button" class="filters-open" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>
      <${Icon} name="search" />${T.filters.open(set)}</button>
    ${fields.map((f) => html`<${Field} key=${f.name} ...${f} value=${query[f.name] || ''} onChange=${change} />`)}
    <button type="button" class="clear" disabled=${set === 0}
      onClick=${() => setQuery(Object.fromEntries(Object.entries(route.get().query)
    .filter(([name]) => !fields.some((f) => f.name === name))))}>${T.filters.clear}</button>
    ${children}
  </form>`;
});

// The day after, for the end of a range of dates.
export function nextDay(date) {
  if (!/^\d{4}-\d\d-\d\d$/.test(date || '')) return '';
  const day = new Date(`${date}T12:00:00Z`);
  day.setUTCDate(day.getUTCDate() + 1);
  return day.toISOString().slice(0, 10);
}

export const isDate = (date) => /^\d{4}-\d\d-\d\d$/.test(date || '');
