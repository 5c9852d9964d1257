// Management > API tokens: one's own bearer tokens.
import { html, useEffect, useState } from '../base/html.js';
import { get, post, remove } from '../base/api.js';
import { formatTime, knownZone } from '../base/format.js';
import { FormDialog, openDialog } from '../parts/dialog.js';
import { Field } from '../parts/fields.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { Empty, ProblemBox } from '../parts/problem.js';
import { showOnce } from '../parts/shown_once.js';
import { say } from '../parts/toast.js';
import { T } from '../texts.js';

const K = T.tokens;

function askNew(reload) {
  openDialog(() => html`<${FormDialog} title=${K.newTitle} action=${K.make} wide
      save=${async (form) => {
    const made = await post('tokens', { name: form.get('name').trim(), days: Number(form.get('days')),
      scopes: form.getAll('scope') });
    reload();
    setTimeout(() => showOnce({ title: K.madeTitle(made.name), text: K.madeText, values: [[K.token, made.token]] }));
  }}>
    <${Field} name="name" label=${K.name} hint=${K.nameHint} required maxlength="100" pattern=".*\\S.*" autofocus />
    <${Field} name="days" label=${K.days} type="number" min="1" max="366" value="90" required hint=${K.daysHint} />
    <fieldset><legend>${K.scopes}</legend>
      <div class="checks">${Object.entries(K.scopeTexts).map(([scope, text]) => html`<label class="check" key=${scope}>
        <input type="checkbox" name="scope" value=${scope} />${text}</label>`)}</div>
    </fieldset>
  <//>`);
}

function askRemove(token, reload) {
  openDialog(() => html`<${FormDialog} title=${K.removeTitle(token.name)} action=${K.remove} danger
      save=${async () => { await remove(`tokens/${token.id}`); say(K.removed); reload(); }}>
    <p>${K.removeText}</p><//>`);
}

export default function Tokens({ person }) {
  const [items, setItems] = useState(null);
  const [problem, setProblem] = useState(null);
  const zone = knownZone(person.time_zone);
  const load = () => {
    setProblem(null);
    get('tokens').then((list) => setItems(list.items), setProblem);
  };
  useEffect(load, []);
  return html`<${Page} title=${K.title} lead=${K.lead}
      actions=${html`<button type="button" class="primary" onClick=${() => askNew(load)}><${Icon} name="add" />${K.new} …</button>`}>
    ${problem && html`<${ProblemBox} problem=${problem} onRetry=${load} />`}
    ${items?.length === 0 && html`<${Empty} title=${K.noneTitle}><p>${K.none}</p><//>`}
    ${items?.length > 0 && html`<ul class="files">${items.map((t) => html`<li key=${t.id}>
      <div class="file-what"><b>${t.name}</b>
        <p>${t.scopes.map((s) => K.scopeTexts[s] || s).join(', ')}</p>
        <p>${K.facts(formatTime(t.expires_at, zone), formatTime(t.last_used_at, zone))}</p></div>
      <button type="button" aria-label=${K.removeTitle(t.name)} onClick=${() => askRemove(t, load)}>
        <${Icon} name="trash" />${K.remove}</button></li>`)}</ul>`}
  <//>`;
}
