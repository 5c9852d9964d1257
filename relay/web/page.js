// Small helpers of the page.

export function byId(id) {
  return document.getElementById(id);
}

// Shows one view of index.html: login, wait, session or ended.
export function showView(name) {
  document.body.dataset.view = name;
}

// The relay's reasons are written for logs, too: without a capital and a stop.
export function sentence(text) {
  const start = text.charAt(0).toUpperCase() + text.slice(1);

  return text === '' || /[.!?]$/.test(text) ? start : `${start}.`;
}

const TOAST_MS = 7000;

export function toast(text) {
  const element = document.createElement('div');

  element.className = 'toast';
  element.textContent = text;
  byId('toasts').append(element);
  setTimeout(() => element.remove(), TOAST_MS);
}

/*
 * Puts choices ([value, text]) into a select and selects `value`; one that is
 * not among them is added as text(value). An open list is left alone when
 * nothing changed.
 */
export function fillSelect(select, choices, value, text) {
  if (!choices.some(([known]) => known === value))
    choices.push([value, text(value)]);
  const key = JSON.stringify(choices);
  if (select.dataset.choices !== key) {
    select.replaceChildren(...choices.map(
      ([known, label]) => new Option(label, known)));
    select.dataset.choices = key;
  }
  select.value = String(value);
}

// A message that must be read. Several add up in one dialog.
export function warn(text) {
  const dialog = byId('warning');
  const element = byId('warning-text');

  if (dialog.open) {
    element.textContent += `\n\n${text}`;
    return;
  }
  element.textContent = text;
  dialog.showModal();
}

// Settings of this browser; without storage they hold for this page.
export function remember(name, value) {
  try {
    localStorage.setItem(`relaycam.${name}`, value);
  } catch {
    // storage may be forbidden
  }
}

export function recall(name, otherwise) {
  try {
    return localStorage.getItem(`relaycam.${name}`) || otherwise;
  } catch {
    return otherwise;
  }
}
