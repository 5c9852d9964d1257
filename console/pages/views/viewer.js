// The relay's browser viewer inside the console, opened by a one-time login.
import { html, useEffect, useState } from '../base/html.js';
import { newTicket, spokenName } from '../base/connect.js';
import { navigate, route } from '../base/router.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { ProblemBox } from '../parts/problem.js';
import { T } from '../texts.js';

const C = T.connect;
const MAY = 'fullscreen; clipboard-read; clipboard-write; keyboard-map';

export default function Viewer({ endpoint }) {
  const name = spokenName(endpoint);
  // a link from elsewhere connects nobody: it takes a click here
  const [wanted, setWanted] = useState(route.get().key > 0);
  const [url, setUrl] = useState(null);
  const [problem, setProblem] = useState(null);
  const open = () => {
    setWanted(true);
    setProblem(null);
    newTicket(endpoint, { display: route.get().query.display }).then((ticket) => setUrl(ticket.url), setProblem);
  };
  useEffect(() => {
    if (wanted) open();
  }, []);
  return html`<${Page} title=${C.with(name)} className="viewer"
      actions=${html`<button type="button" onClick=${() => navigate('/connect')}><${Icon} name="close" />${C.leave}</button>`}>
    ${problem && html`<${ProblemBox} problem=${problem} onRetry=${open} />`}
    ${!wanted && html`<div class="empty"><h2>${C.askTitle(name)}</h2><p>${C.askText}</p>
      <button type="button" class="primary" onClick=${open}><${Icon} name="connect" />${C.go}</button></div>`}
    ${url && html`<iframe src=${url} title=${C.frame(name)} allow=${MAY} allowfullscreen></iframe>`}
  <//>`;
}
