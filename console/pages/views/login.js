// Log in with a password.
import { html, useEffect, useRef, useState } from '../base/html.js';
import { post } from '../base/api.js';
import { route } from '../base/router.js';
import { logIn } from '../base/session.js';
import { Icon } from '../parts/icon.js';
import { explain } from '../parts/problem.js';
import { T } from '../texts.js';

export default function Login() {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const user = useRef(null);
  const password = useRef(null);
  useEffect(() => {
    document.title = `${T.login.title} · ${T.name}`;
    user.current.focus();
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      logIn(await post('login', { user: user.current.value.trim(), password: password.current.value },
        { quiet: true }));
    } catch (error) {
      setProblem(error);
      setBusy(false);
      password.current.value = '';
      password.current.focus();
    }
  };
  return html`<main class="sheet">
    <form class="card login" onSubmit=${submit}>
      <h1><${Icon} name="logo" />${T.name}</h1>
      ${route.get().query.next && !problem && html`<p class="notice">${T.login.next}</p>`}
      ${problem && html`<p class="notice failed" role="alert">${explain(problem)}</p>`}
      <label for="user">${T.login.user}</label>
      <input id="user" name="user" ref=${user} required maxlength="63" autocomplete="username"
        autocapitalize="none" spellcheck="false" />
      <label for="password">${T.login.password}</label>
      <input id="password" name="password" type="password" ref=${password} required maxlength="1024"
        autocomplete="current-password" />
      <button class="primary wide" disabled=${busy}>${busy ? T.login.busy : T.login.action}</button>
    </form>
  </main>`;
}
