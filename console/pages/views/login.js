// Log in: password, a code where one is asked for, single sign-on.
import { html, useEffect, useRef, useState } from '../base/html.js';
import { get, post } from '../base/api.js';
import { route } from '../base/router.js';
import { getPasskey, knowsPasskeys } from '../base/passkey.js';
import { logIn } from '../base/session.js';
import { Icon } from '../parts/icon.js';
import { explain } from '../parts/problem.js';
import { T } from '../texts.js';

const L = T.login;

function useMethods() {
  const [methods, setMethods] = useState({ single_sign_on: [], passkeys: false });
  const { team } = route.get().query;
  useEffect(() => {
    get('login/methods', { team }, { quiet: true }).then(setMethods, () => {});
  }, []);
  return methods;
}

// Codes are read out and pasted in groups.
const plainCode = (text) => text.replace(/[\s-]/g, '');

function Code({ onCode, onBack, busy, problem }) {
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  useEffect(() => {
    if (problem) field.current.select();
  }, [problem]);
  const submit = (event) => {
    event.preventDefault();
    onCode(field.current.value);
  };
  // an authenticator's code is complete with its sixth digit
  const onInput = (event) => {
    if (/^\d{6}$/.test(plainCode(event.target.value))) onCode(event.target.value);
  };
  return html`<form onSubmit=${submit}>
    <label for="code">${L.code}</label>
    <input id="code" name="code" ref=${field} required maxlength="40" autocomplete="one-time-code"
      autocapitalize="none" spellcheck=${false} aria-describedby="code-hint" onInput=${onInput} />
    <p class="hint" id="code-hint">${L.codeHint}</p>
    <button class="primary wide" disabled=${busy}>${busy ? L.busy : L.action}</button>
    <button type="button" class="wide plain" onClick=${onBack}>${L.back}</button>
  </form>`;
}

function Password({ onPassword, busy, problem, hidden }) {
  const user = useRef(null);
  const password = useRef(null);
  useEffect(() => user.current.focus(), []);
  useEffect(() => {
    if (!problem) return;
    password.current.value = '';
    password.current.focus();
  }, [problem]);
  const submit = (event) => {
    event.preventDefault();
    onPassword({ user: user.current.value.trim(), password: password.current.value });
  };
  return html`<form onSubmit=${submit} hidden=${hidden}>
    <label for="user">${L.user}</label>
    <input id="user" name="user" ref=${user} required maxlength="63" autocomplete="username"
      autocapitalize="none" spellcheck=${false} />
    <label for="password">${L.password}</label>
    <input id="password" name="password" type="password" ref=${password} required maxlength="1024"
      autocomplete="current-password" />
    <button class="primary wide" disabled=${busy}>${busy ? L.busy : L.action}</button>
  </form>`;
}

// Single sign-on comes back to the page that was asked for; a path that is too
// long for it is left out.
function signOnUrl(way) {
  const next = route.get().query.next || '';
  return next && next.length < 256 ? `${way.start_url}&return_to=${encodeURIComponent(next)}` : way.start_url;
}

export default function Login() {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const [asksCode, setAsksCode] = useState(false);
  const given = useRef(null);
  const methods = useMethods();
  useEffect(() => {
    document.title = `${L.title} · ${T.name}`;
  }, []);
  const send = async (body) => {
    setBusy(true);
    setProblem(null);
    try {
      logIn(await post('login', body, { quiet: true }));
    } catch (error) {
      if (error.type === 'second-factor') setAsksCode(true);
      else setProblem(error);
      if (error.type === 'wrong-password') setAsksCode(false);
      setBusy(false);
    }
  };
  // alone it logs in; behind a password it takes the place of the code
  const byPasskey = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const credential = await getPasskey('login/passkey/options');
      logIn(await post(asksCode ? 'login' : 'login/passkey',
        asksCode ? { ...given.current, credential } : { credential }, { quiet: true }));
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  const start = (who) => {
    given.current = who;
    send(who);
  };
  const canPasskey = methods.passkeys && knowsPasskeys();
  return html`<main class="sheet">
    <div class="card login">
      <h1><${Icon} name="logo" />${T.name}</h1>
      ${route.get().query.next && !problem && !asksCode && html`<p class="notice">${L.next}</p>`}
      ${problem && html`<p class="notice failed" role="alert">${explain(problem)}</p>`}
      <${Password} onPassword=${start} busy=${busy} problem=${!asksCode && problem} hidden=${asksCode} />
      ${asksCode && html`<${Code} busy=${busy} problem=${problem}
        onCode=${(code) => send({ ...given.current, code: plainCode(code) })}
        onBack=${() => { setAsksCode(false); setProblem(null); }} />`}
      ${(canPasskey || (!asksCode && methods.single_sign_on.length > 0)) && html`<div class="ways">
        <p class="or"><span>${L.or}</span></p>
        ${canPasskey && html`<button type="button" class="wide" disabled=${busy} onClick=${byPasskey}>
          <${Icon} name="key" />${L.passkey}</button>`}
        ${!asksCode && methods.single_sign_on.map((way) => html`<a class="button wide" key=${way.start_url}
          href=${signOnUrl(way)}><${Icon} name="key" />${L.signOn(way.name)}</a>`)}
      </div>`}
    </div>
  </main>`;
}
