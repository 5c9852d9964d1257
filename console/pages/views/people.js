// Management > People.
import { html } from '../base/html.js';
import { patch, post, remove } from '../base/api.js';
import { formatTime, knownZone } from '../base/format.js';
import { useList } from '../base/list.js';
import { route } from '../base/router.js';
import { isOwner } from '../base/session.js';
import { useStore } from '../base/store.js';
import { FormDialog, openDialog } from '../parts/dialog.js';
import { Field, filled, NAME_PATTERN } from '../parts/fields.js';
import { Filters } from '../parts/filters.js';
import { Icon } from '../parts/icon.js';
import { Page } from '../parts/page.js';
import { showIdentity } from '../parts/person_identity.js';
import { Pill } from '../parts/pill.js';
import { Table } from '../parts/table.js';
import { say, sayProblem } from '../parts/toast.js';
import { T } from '../texts.js';

const P = T.people;

const FIELDS = [
  { name: 'text', label: T.filters.text, type: 'search', wide: true },
  { name: 'role', label: P.role, options: Object.entries(T.nav.roles) },
  { name: 'disabled', label: P.state, options: Object.entries(P.states) },
];

// Only owners make and change owners.
const rolesFor = (me) => Object.entries(T.nav.roles).filter(([role]) => isOwner(me) || role !== 'owner');

function askNew(me, list) {
  openDialog(() => html`<${FormDialog} title=${P.newTitle} action=${P.add}
      save=${async (form) => {
    await post('users', filled(form, ['name', 'title', 'role', 'password']));
    say(P.added);
    list.refreshSoon();
  }}>
    <${Field} name="name" label=${P.name} hint=${P.nameHint} required maxlength="63" pattern=${NAME_PATTERN} autofocus />
    <${Field} name="title" label=${P.fullName} maxlength="200" />
    <${Field} name="role" label=${P.role} options=${rolesFor(me)} value="member" hint=${P.roleHint} />
    <${Field} name="password" label=${P.password} type="password" minlength="8" maxlength="1024" required
      hint=${P.passwordHint} autocomplete="new-password" />
  <//>`);
}

async function change(u, list, body, said) {
  list.put(u.id, await patch(`users/${u.id}`, body));
  say(said);
}

function askEdit(u, me, list) {
  openDialog(() => html`<${FormDialog} title=${P.editTitle(u.name)} action=${T.save}
      save=${(form) => change(u, list, { title: form.get('title').trim(), role: form.get('role') }, P.changed)}>
    <${Field} name="title" label=${P.fullName} value=${u.title} maxlength="200" autofocus />
    <${Field} name="role" label=${P.role} options=${rolesFor(me)} value=${u.role} hint=${P.roleHint} />
  <//>`);
}

function askPassword(u, list) {
  openDialog(() => html`<${FormDialog} title=${P.passwordTitle(u.name)} action=${P.setPassword}
      save=${(form) => change(u, list, { password: form.get('password') }, P.passwordSet)}>
    <${Field} name="password" label=${P.password} type="password" minlength="8" maxlength="1024" required
      hint=${P.passwordEnds} autocomplete="new-password" autofocus />
  <//>`);
}

function askDisable(u, list) {
  openDialog(() => html`<${FormDialog} title=${P.disableTitle(u.name)} action=${P.disable} danger
      save=${() => change(u, list, { disabled: true }, P.disabledNow)}><p>${P.disableText}</p><//>`);
}

function askFactors(u) {
  openDialog(() => html`<${FormDialog} title=${P.factorsTitle(u.name)} action=${P.takeFactors} danger
      save=${async () => {
    await remove(`users/${u.id}/totp`).catch((e) => { if (e.status !== 404 && e.status !== 409) throw e; });
    await remove(`users/${u.id}/passkeys`).catch((e) => { if (e.status !== 404 && e.status !== 409) throw e; });
    say(P.factorsTaken);
  }}><p>${P.factorsText}</p><//>`);
}

function askSignOut(u) {
  openDialog(() => html`<${FormDialog} title=${P.signOutTitle(u.name)} action=${P.signOut} danger
      save=${async () => {
    await remove(`users/${u.id}/tokens`);
    await remove(`users/${u.id}/logins`);
    say(P.signedOut);
  }}><p>${P.signOutText}</p><//>`);
}

const menuOf = (u, me, list) => {
  const locked = u.role === 'owner' && !isOwner(me);
  const why = P.ownersOnly;
  return [
    { label: P.edit, icon: 'settings', run: () => askEdit(u, me, list), disabled: locked, why },
    { label: P.setPassword + ' …', icon: 'key', run: () => askPassword(u, list), disabled: locked, why },
    { label: P.signOut + ' …', icon: 'lock', run: () => askSignOut(u), disabled: locked, why },
    { label: P.identity.menu, icon: 'link', run: () => showIdentity(u, list), disabled: locked, why },
    { label: P.takeFactors + ' …', icon: 'unlock', run: () => askFactors(u), disabled: !isOwner(me), why },
    null,
    u.disabled
      ? { label: P.enable, icon: 'check', disabled: locked, why,
        run: () => change(u, list, { disabled: false }, P.enabledNow).catch(sayProblem) }
      : { label: P.disable + ' …', icon: 'lock', danger: true, run: () => askDisable(u, list),
        disabled: locked || u.name === me.user, why: locked ? why : P.notYourself },
  ];
};

// What the person can log in with.
const waysOf = (u) => [
  u.has_password && (u.has_totp ? P.ways.passwordAndCode : P.ways.password),
  u.passkeys > 0 && P.ways.passkeys(u.passkeys),
  u.identity && P.ways.signOn,
].filter(Boolean).join(', ') || P.ways.none;

const columnsOf = (zone, edit) => [
  { key: 'endpoint', label: P.name, cell: (u) => html`<button type="button" class="link" data-main
    onClick=${() => edit(u)}>${u.name}</button>` },
  { key: 'user', label: P.fullName, cell: (u) => u.title },
  { key: 'access', label: P.role, cell: (u) => T.nav.roles[u.role] },
  { key: 'status', label: P.logsInBy, cell: (u) => waysOf(u) },
  { key: 'recording', label: P.state, cell: (u) => (u.disabled ? html`<${Pill} kind="off">${P.states.true}<//>`
    : html`<${Pill} kind="good">${P.states.false}<//>`) },
  { key: 'time', label: P.lastLogin, cell: (u) => formatTime(u.last_login_at, zone) || P.neverLoggedIn },
];

export default function People({ person }) {
  const { query } = useStore(route);
  const { text, role, disabled } = query;
  const list = useList('users', { text, role, disabled });
  const isFiltered = FIELDS.some((f) => query[f.name]);
  const edit = (u) => askEdit(u, person, list);
  return html`<${Page} title=${P.title} lead=${P.lead(person.team)}
      actions=${html`<button type="button" class="primary" onClick=${() => askNew(person, list)}>
        <${Icon} name="add" />${P.add} …</button>`}>
    <${Filters} fields=${FIELDS} />
    <${Table} label=${P.title} list=${list} columns=${columnsOf(knownZone(person.time_zone), edit)}
      menu=${(u) => menuOf(u, person, list)} nameOf=${(u) => u.name} onOpen=${edit}
      empty=${{ title: isFiltered ? P.noneFoundTitle : P.noneTitle, text: html`<p>${isFiltered ? P.noneFound : P.none}</p>` }} />
  <//>`;
}
