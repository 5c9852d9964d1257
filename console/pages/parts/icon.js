// Outlined icons, 24 by 24.
import { html } from '../base/html.js';

const PATHS = {
  logo: 'M3 5h18v12H3zM8 20h8M12 11m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0',
  sessions: 'M8 6h13M8 12h13M8 18h13M3.5 6h.01M3.5 12h.01M3.5 18h.01',
  active: 'M3 12h4l3-8 4 16 3-8h4',
  recordings: 'M3 6h12v12H3zM15 10l6-3v10l-6-3',
  connect: 'M3 5h18v11H3zM9 20h6M12 16v4M9.5 8l4.5 2.5L9.5 13z',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4',
  endpoints: 'M4 4h16v10H4zM8 20h8M12 14v6',
  people: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c0-3.6 2.9-6 6.5-6s6.5 2.4 6.5 6M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14.6c2.1.8 3.5 2.8 3.5 5.4',
  tokens: 'M14 10a4.5 4.5 0 1 0-4.3 3.2L12 15.5h2.5V18H17v2.5h3.5v-3L14 11z',
  audit: 'M6 3h9l4 4v14H6zM15 3v4h4M9 12h7M9 16h7',
  menu: 'M4 7h16M4 12h16M4 17h16',
  close: 'M6 6l12 12M18 6L6 18',
  play: 'M8 5l11 7-11 7z',
  files: 'M4 5h6l2 3h8v11H4z',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  download: 'M12 4v11M7 11l5 5 5-5M4 20h16',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4.5 4.5',
  down: 'M6 9l6 6 6-6',
  up: 'M6 15l6-6 6 6',
  right: 'M9 6l6 6-6 6',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2',
  moon: 'M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5z',
  system: 'M3 5h18v11H3zM9 20h6M12 5v11',
  leave: 'M14 4H5v16h9M10 12h11M17 8l4 4-4 4',
  lock: 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3',
  unlock: 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 6.8-1.2',
  trash: 'M4 7h16M9 7V4h6v3M6.5 7l1 13h9l1-13',
  note: 'M5 4h14v11l-5 5H5zM14 20v-5h5M8.5 9h7M8.5 12.5h4',
  info: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 8h.01',
  warning: 'M12 4L2.5 20h19zM12 10v5M12 17.5h.01',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  key: 'M15 9.5a4.5 4.5 0 1 0-5.5 4.4L11 15.5h2V18h2.5v2H19v-3l-5-5',
  stop: 'M6 6h12v12H6z',
  record: 'M12 6a6 6 0 1 0 0 12 6 6 0 0 0 0-12z',
  add: 'M12 5v14M5 12h14',
};

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 24 24"
  aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;
