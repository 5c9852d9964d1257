// A state in a word, with a colour and a shape beside it.
import { html } from '../base/html.js';
import { T } from '../texts.js';

const KINDS = { off: 'quiet', none: 'bad', under_way: 'busy', failed: 'bad', uploaded: 'good' };

export function Pill({ kind, children, title, progress }) {
  return html`<span class=${`pill ${kind}`} title=${title}>
    ${children}${progress !== null && progress !== undefined && html` <b>${progress}%</b>`}</span>`;
}

// T5: what became of a session's recording.
export function RecordingPill({ session }) {
  const state = session.recording;
  return html`<${Pill} kind=${KINDS[state]} title=${T.recording.help[state]}
    progress=${state === 'under_way' ? session.recording_progress : null}>${T.recording[state]}<//>`;
}

const FILE_KINDS = {
  recording: 'live', transfer: 'busy', downloaded: 'busy', encoding: 'busy', available: 'good', downloading: 'good',
  missing: 'bad', encoding_failed: 'bad', corrupted: 'bad', expired: 'off', deleted: 'off',
};

// M1: where a file is on its way, with its percentage where there is one.
export function StatusPill({ file }) {
  const hasProgress = ['transfer', 'encoding', 'downloading'].includes(file.status);
  return html`<${Pill} kind=${FILE_KINDS[file.status]} title=${T.statusHelp[file.status]}
    progress=${hasProgress ? file.progress : null}>${T.status[file.status]}<//>`;
}

const ENDPOINT_KINDS = { connected: 'good', parked: 'good', away: 'off', not_enrolled: 'busy', null: 'quiet' };

// Whether it can be reached now.
export function EndpointPill({ endpoint }) {
  return html`<${Pill} kind=${ENDPOINT_KINDS[endpoint.state]} title=${T.endpointHelp[endpoint.state]}>
    ${T.endpointState[endpoint.state]}<//>`;
}
