// Ways to an endpoint other than the browser viewer inside the console.
import { html, useEffect, useState } from '../base/html.js';
import { newTicket, vncFile, vncUri, viewerPath } from '../base/connect.js';
import { formatDuration } from '../base/format.js';
import { navigate } from '../base/router.js';
import { closeDialog, Dialog, FormDialog, openDialog } from './dialog.js';
import { Icon } from './icon.js';
import { ProblemBox } from './problem.js';
import { say, sayProblem } from './toast.js';
import { T } from '../texts.js';

const C = T.connect;
const TICKET_SECONDS = 300;

async function withTicket(endpoint, display, use) {
  try {
    await use(await newTicket(endpoint.name, { display }));
  } catch (problem) {
    sayProblem(problem);
  }
}

function saveFile(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/octet-stream' }));
  const a = document.createElement('a');
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

// A tab that is opened later than the click would be taken for a pop-up.
function openTab(endpoint, display) {
  const tab = window.open('about:blank', '_blank');
  withTicket(endpoint, display, (ticket) => {
    if (tab) {
      tab.opener = null;
      tab.location.replace(ticket.url);
    } else location.assign(ticket.url);
  });
}

const openLink = (endpoint, display) => withTicket(endpoint, display, (ticket) => {
  location.assign(vncUri(ticket));
  say(C.linkOpened);
});

const saveVnc = (endpoint, display) => withTicket(endpoint, display, (ticket) => {
  saveFile(`${endpoint.name}.vnc`, vncFile(ticket));
  say(C.fileSaved(ticket.user));
});

function Value({ label, value }) {
  const copy = () => navigator.clipboard.writeText(value).then(() => say(C.copied(label)), () => {});
  return html`<div class="value"><dt>${label}</dt>
    <dd><span class="mono">${value}</span>
      <button type="button" class="plain" aria-label=${C.copy(label)} title=${C.copy(label)}
        onClick=${copy}><${Icon} name="copy" /></button></dd></div>`;
}

function Ticket({ endpoint, display }) {
  const [ticket, setTicket] = useState(null);
  const [problem, setProblem] = useState(null);
  const [left, setLeft] = useState(TICKET_SECONDS * 1000);
  const make = () => {
    setProblem(null);
    newTicket(endpoint.name, { seconds: TICKET_SECONDS, display }).then(setTicket, setProblem);
  };
  useEffect(make, []);
  useEffect(() => {
    if (!ticket) return undefined;
    const tick = () => setLeft(Math.max(0, new Date(ticket.expires_at) - Date.now()));
    const timer = setInterval(tick, 1000);
    tick();
    return () => clearInterval(timer);
  }, [ticket]);
  if (problem) return html`<${ProblemBox} problem=${problem} onRetry=${make} />`;
  if (!ticket) return html`<p>${T.table.loading}</p>`;
  if (left === 0)
    return html`<p>${C.ticketDead}</p><footer><button type="button" class="primary" onClick=${make}>${C.newTicket}</button></footer>`;
  return html`<p>${C.ticketText(formatDuration(left))}</p>
    <dl class="values">
      <${Value} label=${C.address} value=${ticket.address} />
      <${Value} label=${C.user} value=${ticket.user} />
      <${Value} label=${C.password} value=${ticket.password} />
      <${Value} label=${C.link} value=${ticket.url} />
    </dl>
    <footer><button type="button" class="primary" onClick=${closeDialog}>${T.close}</button></footer>`;
}

function showTicket(endpoint, display) {
  openDialog(() => html`<${Dialog} title=${C.ticketTitle(endpoint.name)} wide>
    <${Ticket} endpoint=${endpoint} display=${display} /><//>`);
}

const openHere = (endpoint, display) => navigate(viewerPath(endpoint.name, display));

export const hasChoice = (endpoint) => endpoint.agent_displays?.length > 1;

// way(endpoint, display): one of those above; of several displays it is asked
// which one, and the first is the endpoint's own choice.
function choose(endpoint, way) {
  if (!hasChoice(endpoint)) {
    way(endpoint);
    return;
  }
  openDialog(() => html`<${FormDialog} title=${C.displayTitle(endpoint.name)} action=${C.go}
      save=${async (form) => { setTimeout(() => way(endpoint, form.get('display')), 0); }}>
    <fieldset class="checks"><legend class="unseen">${C.display}</legend>
      ${endpoint.agent_displays.map((name, i) => html`<label class="check" key=${name}>
        <input type="radio" name="display" value=${name} checked=${i === 0} autofocus=${i === 0} />${name}</label>`)}
    </fieldset>
  <//>`);
}

export const connectHere = (endpoint) => choose(endpoint, openHere);

export const connectMenu = (endpoint) => [
  { label: C.here, icon: 'connect', run: () => connectHere(endpoint) },
  { label: C.newTab, icon: 'play', run: () => choose(endpoint, openTab) },
  null,
  { label: C.vncLink, icon: 'endpoints', run: () => choose(endpoint, openLink) },
  { label: C.vncFile, icon: 'download', run: () => choose(endpoint, saveVnc) },
  { label: C.ticket, icon: 'key', run: () => choose(endpoint, showTicket) },
];
