// One's own login: second factor and passkeys.
import { html, useEffect, useState } from '../base/html.js';
import { get, post, remove } from '../base/api.js';
import { formatTime, knownZone } from '../base/format.js';
import { createPasskey, knowsPasskeys } from '../base/passkey.js';
import { loadMe } from '../base/session.js';
import { closeDialog, Dialog, FormDialog, openDialog } from '../parts/dialog.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { Pill } from '../parts/pill.js';
import { ProblemBox } from '../parts/problem.js';
import { say, sayProblem } from '../parts/toast.js';
import { T } from '../texts.js';

const A = T.account;
const plain = (code) => code.replace(/[\s-]/g, '');

function showCodes(codes, reload) {
  const done = () => {
    closeDialog();
    reload();
  };
  openDialog(() => html`<${Dialog} title=${A.codesTitle} onClose=${done}>
    <p>${A.codesText}</p>
    <ul class="codes mono">${codes.map((code) => html`<li key=${code}>${code}</li>`)}</ul>
    <footer>
      <button type="button" onClick=${() => navigator.clipboard.writeText(codes.join('\n')).then(() => say(A.copied), () => {})}>
        <${Icon} name="copy" />${A.copy}</button>
      <button type="button" class="primary" onClick=${done}>${A.kept}</button>
    </footer>
  <//>`);
}

const codeField = html`<label for="code">${A.code}</label>
  <input id="code" name="code" required maxlength="40" autocomplete="one-time-code" autocapitalize="none"
    spellcheck=${false} autofocus />`;

// What a form of one code sends, and what then.
function askCode({ title, text, action, danger, path, then }) {
  openDialog(() => html`<${FormDialog} title=${title} action=${action} danger=${danger}
      save=${async (form) => {
    const answer = await post(path, { code: plain(form.get('code')) });
    setTimeout(() => then(answer));
  }}><p>${text}</p>${codeField}<//>`);
}

async function setUp(reload) {
  let made;
  try {
    made = await post('me/totp');
  } catch (problem) {
    sayProblem(problem);
    return;
  }
  openDialog(() => html`<${FormDialog} title=${A.setUp} action=${A.confirm}
      save=${async (form) => {
    const { recovery_codes: codes } = await post('me/totp/confirm', { code: plain(form.get('code')) });
    await loadMe();
    setTimeout(() => showCodes(codes, reload));
  }}>
    <p>${A.scan}</p>
    <img class="qr" alt=${A.qr} width="220" height="220"
      src=${`data:image/svg+xml,${encodeURIComponent(made.qr_svg)}`} />
    <p class="hint">${A.byHand} <span class="mono">${made.secret}</span></p>
    ${codeField}
  <//>`);
}

function Totp({ state, zone, reload }) {
  return html`<section class="panel"><h2>${A.totp}</h2>
    <p class="soft">${A.totpText}</p>
    <p>${state.is_on ? html`<${Pill} kind="good">${A.on}<//> <span class="soft">${A.since(formatTime(state.confirmed_at, zone))},
      ${A.codesLeft(state.recovery_codes_left)}</span>` : html`<${Pill} kind="off">${A.off}<//>`}</p>
    <div class="actions">${state.is_on ? html`
      <button type="button" onClick=${() => askCode({ title: A.newCodes, text: A.newCodesText, action: A.newCodes,
    path: 'me/recovery-codes', then: (a) => showCodes(a.recovery_codes, reload) })}>${A.newCodes} …</button>
      <button type="button" class="danger" onClick=${() => askCode({ title: A.turnOff, text: A.turnOffText,
    action: A.turnOff, danger: true, path: 'me/totp/remove', then: reload })}>${A.turnOff} …</button>`
    : html`<button type="button" class="primary" onClick=${() => setUp(reload)}>${A.setUp} …</button>`}
    </div></section>`;
}

async function addPasskey(reload) {
  try {
    const credential = await createPasskey();
    openDialog(() => html`<${FormDialog} title=${A.namePasskey} action=${T.save}
        save=${async (form) => {
    await post('me/passkeys', { name: form.get('name').trim(), credential });
    await loadMe();
    reload();
  }}>
      <label for="name">${A.passkeyName}</label>
      <input id="name" name="name" required maxlength="100" pattern=".*\\S.*" autocomplete="off" autofocus />
      <p class="hint">${A.passkeyNameHint}</p>
    <//>`);
  } catch (problem) {
    sayProblem(problem);
  }
}

function askRemove(key, reload) {
  openDialog(() => html`<${FormDialog} title=${A.removePasskey(key.name)} action=${A.remove} danger
      save=${async () => { await remove(`me/passkeys/${key.id}`); reload(); }}>
    <p>${A.removeText}</p><//>`);
}

function Passkeys({ keys, zone, reload }) {
  return html`<section class="panel"><h2>${A.passkeys}</h2>
    <p class="soft">${A.passkeysText}</p>
    ${keys.length > 0 && html`<ul class="files">${keys.map((key) => html`<li key=${key.id}>
      <div class="file-what"><b>${key.name}</b><p>${A.keyFacts(formatTime(key.created_at, zone), formatTime(key.last_used_at, zone))}</p></div>
      <button type="button" aria-label=${A.removePasskey(key.name)} onClick=${() => askRemove(key, reload)}>
        <${Icon} name="trash" />${A.remove}</button></li>`)}</ul>`}
    <div class="actions"><button type="button" disabled=${!knowsPasskeys()} onClick=${() => addPasskey(reload)}>
      <${Icon} name="add" />${A.addPasskey} …</button></div></section>`;
}

export default function Account({ person }) {
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  const zone = knownZone(person.time_zone);
  const load = () => Promise.all([get('me/totp'), get('me/passkeys')])
    .then(([totp, keys]) => setFound({ totp, keys: keys.items })).catch(setProblem);
  useEffect(() => { load(); }, []);
  return html`<${Page} title=${A.title} lead=${A.lead(person.user, person.team)}>
    ${person.second_factor_missing && html`<p class="notice">${A.missing}</p>`}
    ${problem && !found && html`<${ProblemBox} problem=${problem} onRetry=${load} />`}
    ${found && html`<${Totp} state=${found.totp} zone=${zone} reload=${load} />
      <${Passkeys} keys=${found.keys} zone=${zone} reload=${load} />`}
  <//>`;
}
