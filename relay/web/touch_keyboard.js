// The keyboard of a tablet: it opens for a text field only, so there is one
// out of sight, and what changes in it is typed on the computer.
import { byId } from './page.js';

// Something must be there for Backspace to take away.
const FILLER = '_'.repeat(50);

function commonLength(a, b) {
  let n = 0;

  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}

export class TouchKeyboard {
  constructor(desktop) {
    this.desktop = desktop;
    this.field = byId('touch-input');
    this.field.oninput = () => this.changed();
    this.field.onkeydown = (event) => {
      if (event.key === 'Enter' && !event.isComposing) {
        event.preventDefault();
        this.desktop()?.press('Enter');
      }
    };
  }

  open() {
    this.reset();
    this.field.focus();
  }

  reset() {
    this.field.value = FILLER;
    this.last = FILLER;
    this.field.setSelectionRange(FILLER.length, FILLER.length);
  }

  changed() {
    const desktop = this.desktop();
    const now = this.field.value;
    const same = commonLength(this.last, now);

    for (let n = this.last.length - same; n > 0 && desktop; n--)
      desktop.press('BackSpace');
    desktop?.type(now.slice(same));
    this.last = now;
    if (now.length < 10 || now.length > 200) this.reset();
  }
}
