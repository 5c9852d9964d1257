// The fields of an endpoint, for a new one and for one that is changed: all
// that the API sets.
import { html } from '../base/html.js';
import { Field } from './fields.js';
import { T } from '../texts.js';

const E = T.endpoints;
const SHA256 = '\\s*([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}\\s*';
// where each setting belongs; others are of all kinds
const KINDS = { host: ['direct'], port: ['direct'], capture: ['agent'], client_cert_sha256: ['reverse'] };

const isOf = (name, kind) => !KINDS[name] || KINDS[name].includes(kind);

function Place({ endpoint: e }) {
  return html`<${Field} name="host" label=${E.host} value=${e?.host || ''} required maxlength="253" hint=${E.hostHint} />
    <${Field} name="port" label=${E.port} type="number" min="1" max="65535" value=${e?.port || 5900} required />`;
}

function Login({ endpoint: e }) {
  return html`<${Field} name="username" label=${E.username} value=${e?.username || ''} maxlength="1024" hint=${E.usernameHint} />
    <${Field} name="password" label=${E.password} type="password" maxlength="1024" autocomplete="new-password"
      hint=${e?.has_password ? E.passwordKept : E.passwordHint} />`;
}

function Policy({ endpoint: e, kind }) {
  return html`
    <${Field} name="access" label=${E.access} options=${Object.entries(T.settings.access)}
      value=${e?.access || 'unattended'} hint=${E.accessHint} />
    <${Field} name="consent" label=${E.consent} options=${Object.entries(E.consents)} value=${e?.consent || 'team'}
      hint=${E.consentHint} />
    ${isOf('capture', kind) && html`<${Field} name="capture" label=${E.capture} options=${Object.entries(E.captures)}
      value=${e?.capture || 'relay'} hint=${E.captureHint} />`}`;
}

// Whose certificate is taken; open where something of it is set, or is not right.
function Certificate({ endpoint: e, kind }) {
  const isSet = e && (e.has_ca || e.tls_name || e.pin_sha256 || e.allow_clear || e.client_cert_sha256);
  return html`<details class="more" open=${Boolean(isSet)}
      onInvalidCapture=${(event) => { event.currentTarget.open = true; }}><summary>${E.certificate}</summary>
    <label for="field-ca_pem">${E.ca}</label>
    <textarea id="field-ca_pem" name="ca_pem" rows="3" class="mono" spellcheck=${false} placeholder="-----BEGIN CERTIFICATE-----"
      aria-describedby="field-ca_pem-hint"></textarea>
    <p class="hint" id="field-ca_pem-hint">${e?.has_ca ? E.caKept : E.caHint}</p>
    ${e?.has_ca && html`<label class="check"><input type="checkbox" name="no_ca" />${E.caRemove}</label>`}
    <${Field} name="tls_name" label=${E.tlsName} value=${e?.tls_name || ''} maxlength="253" hint=${E.tlsNameHint} />
    <${Field} name="pin_sha256" label=${E.pin} value=${e?.pin_sha256 || ''} pattern=${SHA256} hint=${E.pinHint} />
    ${isOf('client_cert_sha256', kind) && html`<${Field} name="client_cert_sha256" label=${E.clientCert}
      value=${e?.client_cert_sha256 || ''} pattern=${SHA256} required=${Boolean(e?.client_cert_sha256)}
      hint=${e?.client_cert_sha256 ? E.clientCertKept : E.clientCertHint} />`}
    <label class="check"><input type="checkbox" name="allow_clear" defaultChecked=${Boolean(e?.allow_clear)}
      aria-describedby="field-allow_clear-hint" />${E.allowClear}</label>
    <p class="hint" id="field-allow_clear-hint">${E.allowClearHint}</p>
  </details>`;
}

export function EndpointFields({ endpoint, kind }) {
  return html`${isOf('host', kind) && html`<${Place} endpoint=${endpoint} />`}
    <${Login} endpoint=${endpoint} />
    <${Policy} endpoint=${endpoint} kind=${kind} />
    <${Certificate} endpoint=${endpoint} kind=${kind} />`;
}

// The form's values as the API takes them; null takes a setting away.
function read(form) {
  const text = (name) => (form.get(name) ?? '').trim();
  const body = { title: text('title'), allow_clear: form.has('allow_clear') };
  for (const name of ['access', 'consent', 'capture', 'host'])
    if (form.has(name)) body[name] = text(name);
  for (const name of ['username', 'tls_name']) body[name] = text(name) || null;
  for (const name of ['pin_sha256', 'client_cert_sha256'])
    if (form.has(name)) body[name] = text(name).replaceAll(':', '').toLowerCase() || null;
  if (form.has('port')) body.port = Number(form.get('port'));
  if (form.get('password')) body.password = form.get('password');
  if (text('ca_pem')) body.ca_pem = text('ca_pem');
  else if (form.has('no_ca')) body.ca_pem = null;
  return body;
}

// The body of a request: what differs from endpoint; null: all that is given.
export function readEndpoint(form, endpoint) {
  const body = read(form);
  return Object.fromEntries(Object.entries(body).filter(([name, value]) => (endpoint
    ? value !== endpoint[name]
    : value !== null && value !== '' && value !== false)));
}
