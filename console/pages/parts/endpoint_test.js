// The test of an endpoint: a relay connects and logs in; its answer comes as a
// change of the endpoint's row.
import { html, useEffect, useRef, useState } from '../base/html.js';
import { get, post } from '../base/api.js';
import { useEvents } from '../base/live.js';
import { closeDialog, Dialog, openDialog } from './dialog.js';
import { Icon } from './icon.js';
import { Pill } from './pill.js';
import { ProblemBox } from './problem.js';
import { T } from '../texts.js';

const E = T.endpoints;
const LATE_MS = 62000; // then the console says that no relay has answered

// Rows come by two ways: the newer test counts, and of one its end.
const newer = (old, test) => (!old || test.asked_at > old.asked_at
  || (test.asked_at === old.asked_at && old.ok === null) ? test : old);

function Result({ test }) {
  if (!test || test.ok === null) return html`<p class="test-result"><${Pill} kind="busy">${E.testRuns}<//></p>`;
  return html`<p class=${`test-result ${test.ok ? 'passed' : 'failed'}`}>
      <${Icon} name=${test.ok ? 'check' : 'warning'} /><b>${test.ok ? E.testPassed : E.testFailed}</b></p>
    <p>${test.detail.charAt(0).toUpperCase() + test.detail.slice(1)}</p>`;
}

function Test({ endpoint, list }) {
  const [now, setNow] = useState(null);
  const [problem, setProblem] = useState(null);
  const late = useRef(0);
  const show = (e) => {
    if (e.last_test) setNow((old) => newer(old, e.last_test));
    list.put(e.id, e);
  };
  const ask = () => get(`endpoints/${endpoint.id}`).then(show);
  const start = () => {
    setProblem(null);
    setNow(null);
    clearTimeout(late.current);
    late.current = setTimeout(() => ask().catch(setProblem), LATE_MS);
    post(`endpoints/${endpoint.id}/test`).then(show, setProblem);
  };
  useEffect(() => {
    start();
    return () => clearTimeout(late.current);
  }, []);
  // the answer may have come before this one heard of events
  useEvents(ask, (name, data) => { if (name === 'endpoint_changed' && data.id === endpoint.id) show(data); }, [endpoint.id]);
  return html`<div role="status">${problem ? html`<${ProblemBox} problem=${problem} />` : html`<${Result} test=${now} />`}</div>
    <footer>
      <button type="button" onClick=${start} disabled=${!problem && (!now || now.ok === null)}>${E.testAgain}</button>
      <button type="button" class="primary" onClick=${closeDialog}>${T.close}</button>
    </footer>`;
}

export function testEndpoint(e, list) {
  openDialog(() => html`<${Dialog} title=${E.testTitle(e.name)}>
    <p class="soft">${E.testText}</p>
    <${Test} endpoint=${e} list=${list} />
  <//>`);
}
