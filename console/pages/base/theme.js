// Light or dark: as the system has it, unless somebody chose here.
import { createStore } from './store.js';

const root = document.documentElement;
export const theme = createStore(root.dataset.theme || 'system');

export function setTheme(value) {
  theme.set(value);
  if (value === 'system') {
    delete root.dataset.theme;
    localStorage.removeItem('theme');
  } else {
    root.dataset.theme = value;
    localStorage.setItem('theme', value);
  }
}
