// The panels that open from the bar: clipboard, keys, picture.
import { byId, toast } from './page.js';
import { TouchKeyboard } from './touch_keyboard.js';

const PANELS = {
  clipboard: 'clipboard-panel',
  keys: 'keys-panel',
  picture: 'picture-panel',
};

function setOpen(name, open) {
  byId(PANELS[name]).hidden = !open;
  byId(name).setAttribute('aria-expanded', String(open));
}

function isOpen(name) {
  return !byId(PANELS[name]).hidden;
}

export function closePanels() {
  for (const name of Object.keys(PANELS)) setOpen(name, false);
}

function toggle(name) {
  const open = !isOpen(name);

  closePanels();
  setOpen(name, open);
  if (open) byId(PANELS[name]).style.top =
    `${byId('bar').getBoundingClientRect().bottom + 8}px`;
}

export class Panels {
  constructor() {
    this.desktop = null;
    this.lastSent = null;
    this.keyboard = new TouchKeyboard(() => this.desktop);
    for (const name of Object.keys(PANELS))
      byId(name).onclick = () => toggle(name);
    byId('clip-copy').onclick = () => this.copy();
    byId('clip-send').onclick = () => this.send(byId('clip-out').value);
    byId('clip-type').onclick = () => {
      this.desktop?.type(byId('clip-out').value);
      closePanels();
      this.desktop?.focus();
    };
    byId('clip-sync').onchange = () => this.fetch();
    window.addEventListener('focus', () => this.fetch());
    for (const button of document.querySelectorAll('[data-key]'))
      button.onclick = () => this.desktop?.press(button.dataset.key);
    for (const button of document.querySelectorAll('[data-hold]'))
      button.onclick = () => this.hold(button);
    byId('touch-keyboard').onclick = () => {
      closePanels();
      this.keyboard.open();
    };
  }

  // A session begins (its Desktop) or is over (null).
  use(desktop) {
    this.desktop = desktop;
    this.lastSent = null;
    closePanels();
    byId('clip-in').value = '';
    byId('clip-out').value = '';
    byId('clip-copy').disabled = true;
    byId('clip-sync').checked = false;
    for (const button of document.querySelectorAll('[data-hold]'))
      button.setAttribute('aria-pressed', 'false');
  }

  hold(button) {
    const down = this.desktop?.hold(button.dataset.hold);

    button.setAttribute('aria-pressed', String(Boolean(down)));
  }

  send(text) {
    if (!this.desktop) return;
    this.lastSent = text;
    if (!this.desktop.paste(text))
      toast('That computer takes Western European text only: the other characters were replaced by ?.');
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(byId('clip-in').value);
      toast('Copied.');
    } catch {
      byId('clip-in').select();
      toast('The browser does not allow it: press Ctrl-C.');
    }
  }

  // Text was copied on the computer.
  async arrived(text) {
    byId('clip-in').value = text;
    byId('clip-copy').disabled = text === '';
    if (!byId('clip-sync').checked) return;
    this.lastSent = text; // it need not go back
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // the page is not in front: the panel has it
    }
  }

  // Sends what was copied here, if both are to be the same.
  async fetch() {
    if (!this.desktop || !byId('clip-sync').checked) return;
    try {
      const text = await navigator.clipboard.readText();

      if (text && text !== this.lastSent) this.send(text);
    } catch {
      byId('clip-sync').checked = false;
      toast('The browser does not let this page read the clipboard.');
    }
  }
}
