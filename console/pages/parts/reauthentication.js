// The console asks who it is again before credentials are changed: a dialog in front of
// whatever is open, and the request goes on when it was answered.
import { html, useEffect, useRef, useState } from '../base/html.js';
import { get, post, setOnUnconfirmed, urlOf } from '../base/api.js';
import { getPasskey, knowsPasskeys } from '../base/passkey.js';
import { me } from '../base/session.js';
import { createStore, useStore } from '../base/store.js';
import { T } from '../texts.js';
import { Dialog } from './dialog.js';
import { Icon } from './icon.js';
import { ProblemBox } from './problem.js';

const R = T.reauthentication;
const asked = createStore(null);

// One question for all requests that wait. Resolves to whether it was answered.
function ask() {
  if (!asked.get()) {
    const question = { back: document.activeElement };
    question.answered = new Promise((resolve) => { question.answer = resolve; });
    asked.set(question);
  }
  return asked.get().answered;
}
setOnUnconfirmed(ask);

function end(question, isConfirmed) {
  asked.set(null);
  question.back?.focus?.({ preventScroll: true });
  question.answer(isConfirmed);
}

// A password, or a code of an authenticator.
function Secret({ kind, busy, onSend, autofocus }) {
  const field = useRef(null);
  useEffect(() => { if (autofocus) field.current.focus(); }, []);
  const isCode = kind === 'code';
  const submit = (event) => {
    event.preventDefault();
    const { value } = field.current;
    field.current.value = '';
    onSend({ [kind]: isCode ? value.replace(/[\s-]/g, '') : value });
  };
  return html`<form onSubmit=${submit}>
    <label for=${`again-${kind}`}>${R[kind]}</label>
    <input id=${`again-${kind}`} ref=${field} required type=${isCode ? 'text' : 'password'} maxlength=${isCode ? 40 : 1024}
      autocomplete=${isCode ? 'one-time-code' : 'current-password'} autocapitalize="none" spellcheck=${false} />
    <footer><button class=${autofocus ? 'primary' : ''} disabled=${busy}>${isCode ? R.byCode : R.byPassword}</button></footer>
  </form>`;
}

const signOnUrl = () => urlOf('login/single-sign-on', { team: me.get().team, reauthenticate: true,
  return_to: location.pathname.length < 256 ? location.pathname : '/' });

function Question({ question }) {
  const [ways, setWays] = useState(null);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => { get('me/reauthentication').then(setWays, setProblem); }, []);
  const send = async (body) => {
    setBusy(true);
    setProblem(null);
    try {
      await post('me/reauthentication', typeof body === 'function' ? await body() : body);
      end(question, true);
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  const byPasskey = () => send(async () => ({ credential: await getPasskey('login/passkey/options') }));
  return html`<${Dialog} title=${R.title} onClose=${() => end(question, false)}>
    <p>${R.text}</p>
    ${problem && html`<${ProblemBox} problem=${problem} />`}
    ${ways?.password && html`<${Secret} kind="password" busy=${busy} onSend=${send} autofocus />`}
    ${ways?.code && html`<${Secret} kind="code" busy=${busy} onSend=${send} autofocus=${!ways.password} />`}
    ${ways?.passkey && knowsPasskeys() && html`<button type="button" class="wide" disabled=${busy} onClick=${byPasskey}>
      <${Icon} name="key" />${R.passkey}</button>`}
    ${ways?.single_sign_on && html`<a class="button wide" href=${signOnUrl()}><${Icon} name="key" />${R.signOn}</a>
      <p class="hint">${R.signOnHint}</p>`}
  <//>`;
}

export function Reauthentication() {
  const question = useStore(asked);
  const person = useStore(me);
  // the login has ended meanwhile
  useEffect(() => { if (question && !person) end(question, false); }, [question, person]);
  return question && html`<${Question} question=${question} />`;
}
