// A question in front of the page; the browser keeps the focus inside.
import { html, useEffect, useRef, useId, useState } from '../base/html.js';
import { createStore, useStore } from '../base/store.js';
import { T } from '../texts.js';
import { Icon } from './icon.js';
import { ProblemBox } from './problem.js';

const shown = createStore(null);

// content: (close) => template of a <Dialog>.
export function openDialog(content) {
  shown.set({ content, back: document.activeElement });
}

export function closeDialog() {
  const dialog = shown.get();
  shown.set(null);
  dialog?.back?.focus?.({ preventScroll: true });
}

export function DialogHost() {
  const dialog = useStore(shown);
  return dialog ? dialog.content(closeDialog) : null;
}

export function Dialog({ title, children, onClose = closeDialog, wide }) {
  const element = useRef(null);
  const id = useId();
  useEffect(() => {
    element.current.showModal();
  }, []);
  return html`<dialog ref=${element} aria-labelledby=${id} class=${wide ? 'wide' : ''}
      onCancel=${(e) => { e.preventDefault(); onClose(); }}
      onClick=${(e) => { if (e.target === element.current) onClose(); }}>
    <div class="dialog-body">
      <header><h2 id=${id}>${title}</h2>
        <button type="button" class="plain" aria-label=${T.close} onClick=${onClose}><${Icon} name="close" /></button>
      </header>
      ${children}
    </div>
  </dialog>`;
}

// A form in a dialog; save returns a promise and a rejection is shown.
export function FormDialog({ title, children, action, danger, save, wide, disabled }) {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await save(new FormData(event.target));
      closeDialog();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} wide=${wide}>
    <form onSubmit=${submit}>
      ${problem && html`<${ProblemBox} problem=${problem} />`}
      ${children}
      <footer>
        <button type="button" onClick=${closeDialog}>${T.cancel}</button>
        <button class=${danger ? 'danger strong' : 'primary'} disabled=${busy || disabled}>${action}</button>
      </footer>
    </form>
  <//>`;
}
