// Labelled fields of forms in dialogs, and what a form has in it.
import { html } from '../base/html.js';

export function Field({ name, label, hint, options, value, ...rest }) {
  const id = `field-${name}`;
  const says = hint && `${id}-hint`;
  return html`<label for=${id}>${label}</label>
    ${options
    ? html`<select id=${id} name=${name} aria-describedby=${says} ...${rest}>
        ${options.map(([v, text]) => html`<option key=${v} value=${v} selected=${v === value}>${text}</option>`)}
      </select>`
    : html`<input id=${id} name=${name} value=${value} aria-describedby=${says} autocomplete="off"
        autocapitalize="none" spellcheck=${false} ...${rest} />`}
    ${hint && html`<p class="hint" id=${says}>${hint}</p>`}`;
}

// The texts of a form; those that are empty are left out.
export function filled(form, names) {
  return Object.fromEntries(names.map((n) => [n, (form.get(n) ?? '').trim()]).filter(([, v]) => v !== ''));
}

export const NAME_PATTERN = '[a-z0-9][a-z0-9._\\-]{0,62}';
