/* What keys do in the player. A plain table; nothing happens while somebody
 * types, and single-letter keys can be switched off (WCAG 2.1.4). */

export const KEYS = [
  {keys: [' ', 'k'], does: 'toggle', text: 'play or pause'},
  {keys: ['j'], does: 'skip', by: -10000, text: '10 seconds back'},
  {keys: ['l'], does: 'skip', by: 10000, text: '10 seconds on'},
  {keys: ['ArrowLeft'], does: 'skip', by: -5000, text: '5 seconds back'},
  {keys: ['ArrowRight'], does: 'skip', by: 5000, text: '5 seconds on'},
  {keys: [','], does: 'frame', by: -1, text: 'one frame back'},
  {keys: ['.'], does: 'frame', by: 1, text: 'one frame on'},
  {keys: ['<'], does: 'speed', by: -1, text: 'slower'},
  {keys: ['>'], does: 'speed', by: 1, text: 'faster'},
  {keys: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'], does: 'tenth',
   text: 'to the start, 10 % to 90 %'},
  {keys: ['Shift+ArrowRight'], does: 'jump', kind: 'change', by: 1, text: 'next change'},
  {keys: ['Shift+ArrowLeft'], does: 'jump', kind: 'change', by: -1, text: 'change before'},
  {keys: ['Shift+ArrowDown'], does: 'jump', kind: 'file', by: 1, text: 'next file'},
  {keys: ['Shift+ArrowUp'], does: 'jump', kind: 'file', by: -1, text: 'file before'},
  {keys: ['Shift+PageDown'], does: 'jump', kind: 'gap', by: 1, text: 'next gap'},
  {keys: ['Shift+PageUp'], does: 'jump', kind: 'gap', by: -1, text: 'gap before'},
  {keys: ['Home'], does: 'tenth', to: 0, text: 'to the start'},
  {keys: ['End'], does: 'end', text: 'to the end, or live'},
  {keys: ['['], does: 'mark', end: 'fromMs', text: 'a clip begins here'},
  {keys: [']'], does: 'mark', end: 'toMs', text: 'a clip ends here'},
  {keys: ['c'], does: 'clip', text: 'make the clip between the marks'},
  {keys: ['s'], does: 'still', text: 'save a still as PNG'},
  {keys: ['n'], does: 'note', text: 'write a note here'},
  {keys: ['a'], does: 'wall', text: 'show wall-clock times'},
  {keys: ['g'], does: 'goto', text: 'go to a time'},
  {keys: ['i'], does: 'idle', text: 'skip quiet times'},
  {keys: ['f'], does: 'full', text: 'full screen'},
  {keys: ['?'], does: 'help', text: 'this help'},
];

const isSingle = key => key.length === 1 && key !== ' ';

/* Does this element take what is typed? */
export function takesText(target) {
  if (!target || !target.tagName)
    return false;
  if (target.isContentEditable)
    return true;
  const tag = target.tagName.toLowerCase();
  return tag === 'textarea' || tag === 'select' ||
    (tag === 'input' && !['checkbox', 'radio', 'button', 'range'].includes(target.type));
}

/* Is it one that a space presses? */
function isPressed(target) {
  const tag = target && target.tagName ? target.tagName.toLowerCase() : '';
  return tag === 'button' || tag === 'a' || tag === 'summary' || tag === 'input';
}

/*
 * The row of a keydown event, with `key` besides; null: it is none of the
 * player's. areLettersOn: single-letter keys are switched on.
 */
export function findKey(event, areLettersOn) {
  /* some keyboards have brackets on AltGr, which may count as Ctrl and Alt */
  const isAltGr = Boolean(event.getModifierState && event.getModifierState('AltGraph'));
  if (((event.ctrlKey || event.altKey) && !isAltGr) || event.metaKey || event.isComposing ||
      takesText(event.target))
    return null;
  if (event.key === ' ' && isPressed(event.target))
    return null;
  const name = event.shiftKey && event.key.length > 1 ? 'Shift+' + event.key :
    event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (isSingle(name) && !areLettersOn)
    return null;
  const row = KEYS.find(k => k.keys.includes(name));
  return row ? {...row, key: name} : null;
}
