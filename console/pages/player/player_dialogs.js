/* The player's dialogs: a text, and the keys. */
import {el} from './dom.js';
import {KEYS} from './keys.js';

/* Shows it over owner until it is closed; the focus then goes back. */
export function open(owner, dialog) {
  const before = document.activeElement;
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (before && before.focus)
      before.focus();
  });
  owner.append(dialog);
  dialog.showModal();
  return dialog;
}

/* Asks for a text; resolves to it, or to null. max over 200: several lines. */
export function askForText(owner, title, hint, value, max = 200) {
  return new Promise(done => {
    const field = el(max > 200 ? 'textarea' : 'input', {
      value, maxLength: max, 'aria-labelledby': 'rcp-dialog-title'});
    const dialog = el('dialog.rcp-dialog', {}, el('form', {
      method: 'dialog',
      onsubmit: e => { dialog.returnValue = e.submitter ? e.submitter.value : 'ok'; }},
    el('h2', {id: 'rcp-dialog-title'}, title), hint ? el('p', {}, hint) : null, field,
    el('div.rcp-dialog-buttons', {},
      el('button', {type: 'submit', value: 'ok', className: 'rcp-primary'}, 'OK'),
      el('button', {type: 'button', onclick: () => dialog.close('')}, 'Cancel'))));
    dialog.addEventListener('close', () =>
      done(dialog.returnValue === 'ok' ? field.value.trim() : null));
    open(owner, dialog);
    field.select();
  });
}

const NAMES = {' ': 'Space', ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓',
               PageUp: 'Page Up', PageDown: 'Page Down'};

function keyText(key) {
  const parts = key.split('+').map(k => NAMES[k] || (k.length === 1 ? k.toUpperCase() : k));
  return key === '+' ? '+' : parts.join(' + ');
}

/* All keys, and the switch for those of one letter. */
export function showHelp(owner, areLettersOn, setLetters) {
  const rows = KEYS.map(row => el('tr', {}, el('td', {}, ...(row.keys.length > 3 ?
    [el('kbd', {}, '0'), ' … ', el('kbd', {}, '9')] :
    row.keys.flatMap((k, i) => [...(i > 0 ? [' '] : []), el('kbd', {}, keyText(k))]))),
  el('td', {}, row.text)));
  const box = el('input', {type: 'checkbox', checked: areLettersOn,
                           onchange: () => setLetters(box.checked)});
  const dialog = el('dialog.rcp-dialog.rcp-help', {'aria-labelledby': 'rcp-help-title'},
    el('h2', {id: 'rcp-help-title'}, 'Keys'),
    el('div.rcp-keys', {}, el('table', {}, el('tbody', {}, ...rows))),
    el('label', {}, box, ' Keys of one letter are on'),
    el('div.rcp-dialog-buttons', {}, el('button', {
      type: 'button', className: 'rcp-primary', onclick: () => dialog.close()}, 'Close')));
  open(owner, dialog);
}
