// A secret that the console has in this one answer only.
import { html } from '../base/html.js';
import { closeDialog, Dialog, openDialog } from './dialog.js';
import { Icon } from './icon.js';
import { say } from './toast.js';
import { T } from '../texts.js';

const O = T.shownOnce;

// values: [[label, text]]
export function showOnce({ title, text, values }) {
  const copy = (label, value) => navigator.clipboard.writeText(value).then(() => say(O.copied(label)), () => {});
  openDialog(() => html`<${Dialog} title=${title} wide onClose=${closeDialog}>
    <p>${text}</p>
    <dl class="values">${values.map(([label, value]) => html`<div class="value" key=${label}><dt>${label}</dt>
      <dd><span class="mono">${value}</span>
        <button type="button" class="plain" aria-label=${O.copy(label)} title=${O.copy(label)}
          onClick=${() => copy(label, value)}><${Icon} name="copy" /></button></dd></div>`)}</dl>
    <footer><button type="button" class="primary" onClick=${closeDialog}>${O.kept}</button></footer>
  <//>`);
}
