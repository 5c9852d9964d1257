// noVNC and what is set on it: picture, keys, clipboard.
import RFB from '/novnc/core/rfb.js';
import keysyms from '/novnc/core/input/keysymdef.js';

// noVNC's qualityLevel (JPEG, 0 to 9) and compressionLevel (zlib, 0 to 9)
const QUALITY = { low: [2, 7], medium: [6, 2], high: [9, 1] };

// keysym and code of the physical key
const KEYS = {
  Control: [0xffe3, 'ControlLeft'],
  Alt: [0xffe9, 'AltLeft'],
  Shift: [0xffe1, 'ShiftLeft'],
  Super: [0xffeb, 'MetaLeft'],
  Menu: [0xff67, 'ContextMenu'],
  Escape: [0xff1b, 'Escape'],
  Tab: [0xff09, 'Tab'],
  Enter: [0xff0d, 'Enter'],
  BackSpace: [0xff08, 'Backspace'],
  PrintScreen: [0xff61, 'PrintScreen'],
  F4: [0xffc1, 'F4'],
  F11: [0xffc8, 'F11'],
};

const CHORDS = { AltTab: ['Alt', 'Tab'], AltF4: ['Alt', 'F4'] };

export class Desktop {
  // handlers: onConnect(), onLost(text), onClipboard(text), onBell()
  constructor(element, channel, handlers) {
    this.rfb = new RFB(element, channel, { shared: true });
    this.rfb.background = 'transparent';
    this.rfb.focusOnClick = true;
    this.held = new Set();
    this.isClosed = false;
    this.rfb.addEventListener('connect', () => handlers.onConnect());
    this.rfb.addEventListener('disconnect', (event) => {
      this.isClosed = true;
      if (!event.detail.clean)
        handlers.onLost('The picture could not be understood.');
    });
    this.rfb.addEventListener('securityfailure', (event) =>
      handlers.onLost(event.detail.reason || 'The relay refused the viewer.'));
    this.rfb.addEventListener('clipboard', (event) =>
      handlers.onClipboard(event.detail.text));
    this.rfb.addEventListener('bell', () => handlers.onBell());
  }

  close() {
    if (!this.isClosed) this.rfb.disconnect();
  }

  focus() {
    this.rfb.focus();
  }

  setQuality(name) {
    [this.rfb.qualityLevel, this.rfb.compressionLevel] =
      QUALITY[name] || QUALITY.medium;
  }

  setScale(name) {
    this.rfb.scaleViewport = name !== 'one';
  }

  setViewOnly(on) {
    this.rfb.viewOnly = on;
  }

  /* ---- keys ---- */

  // A key or chord by the names above.
  press(name) {
    const keys = CHORDS[name] || [name];

    for (const key of keys) this.rfb.sendKey(...KEYS[key], true);
    for (const key of keys.reverse()) this.rfb.sendKey(...KEYS[key], false);
  }

  ctrlAltDel() {
    this.rfb.sendCtrlAltDel();
  }

  // Holds or releases Control, Alt or Shift; returns whether it is held now.
  hold(name) {
    const down = !this.held.delete(name);

    if (down) this.held.add(name);
    this.rfb.sendKey(...KEYS[name], down);
    return down;
  }

  type(text) {
    for (const character of text) {
      if (character === '\n') this.press('Enter');
      else if (character === '\t') this.press('Tab');
      else if (character !== '\r')
        this.rfb.sendKey(keysyms.lookup(character.codePointAt(0)));
    }
  }

  /* ---- clipboard ---- */

  // Without the clipboard extension RFB carries Latin-1 only; noVNC would cut
  // the other characters' bits off.
  paste(text) {
    const extended = this.rfb._clipboardServerCapabilitiesFormats &&
      this.rfb._clipboardServerCapabilitiesFormats[1];

    this.rfb.clipboardPasteFrom(
      extended ? text : text.replace(/[^\0-\xff]/gu, '?'));
    return Boolean(extended) || !/[^\0-\xff]/u.test(text);
  }
}
