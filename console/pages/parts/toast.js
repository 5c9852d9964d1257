// Short messages in a corner: what was done, or why not.
import { createStore, useStore } from '../base/store.js';
import { html } from '../base/html.js';
import { Icon } from './icon.js';
import { T } from '../texts.js';
import { explain } from './problem.js';

const SECONDS = 6;
const toasts = createStore([]);
let last = 0;

const drop = (id) => toasts.set(toasts.get().filter((t) => t.id !== id));

// What went well goes away by itself.
export function say(text) {
  const id = ++last;
  toasts.set([...toasts.get(), { id, text, kind: 'done' }]);
  setTimeout(() => drop(id), SECONDS * 1000);
}

// What failed stays until it is closed.
export function sayProblem(problem) {
  toasts.set([...toasts.get(), { id: ++last, text: explain(problem), kind: 'failed' }]);
}

export function Toasts() {
  const list = useStore(toasts);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${list.map((t) => html`<div key=${t.id} class=${`toast ${t.kind}`}>
      <${Icon} name=${t.kind === 'done' ? 'check' : 'warning'} />
      <span>${t.text}</span>
      <button type="button" class="plain" onClick=${() => drop(t.id)}
        aria-label=${T.close}><${Icon} name="close" /></button>
    </div>`)}
  </div>`;
}
