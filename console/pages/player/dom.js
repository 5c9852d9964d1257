/* Elements without a framework, and the player's icons. */

/* el('button.primary', {onclick: f, title: 'x'}, child, 'text') */
export function el(spec, props = {}, ...children) {
  const [tag, ...classes] = spec.split('.');
  const e = document.createElement(tag);
  if (classes.length > 0)
    e.className = classes.join(' ');
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on') || name in e)
      e[name] = value;
    else if (value !== null && value !== undefined && value !== false)
      e.setAttribute(name, value);
  }
  e.append(...children.filter(c => c !== null && c !== undefined));
  return e;
}

const PATHS = {
  play: 'M8 5v14l11-7z',
  pause: 'M6 5h4v14H6zM14 5h4v14h-4z',
  back: 'M11 6v12l-8-6zM20 6v12l-8-6z',
  on: 'M4 6v12l8-6zM13 6v12l8-6z',
  still: 'M4 7h4l2-2h4l2 2h4v12H4zM12 10a3 3 0 1 0 0 6a3 3 0 0 0 0-6z',
  note: 'M4 4h16v12H9l-5 4z',
  link: 'M9 8H7a4 4 0 0 0 0 8h2v-2H7a2 2 0 0 1 0-4h2zM15 8h2a4 4 0 0 1 0 8h-2v-2h2a2 2 0 0 0 0-4h-2zM8 11h8v2H8z',
  share: 'M17 3a3 3 0 1 1-2.300 4.900L9.200 11a3 3 0 0 1 0 2l5.500 3.100a3 3 0 1 1-1 1.700l-5.500-3.100a3 3 0 1 1 0-5.400l5.500-3.100A3 3 0 0 1 17 3z',
  download: 'M11 4h2v8h3l-4 5l-4-5h3zM5 18h14v2H5z',
  full: 'M4 4h6v2H6v4H4zM14 4h6v6h-2V6h-4zM4 14h2v4h4v2H4zM18 14h2v6h-6v-2h4z',
  help: 'M11 17h2v2h-2zM12 5a4 4 0 0 0-4 4h2a2 2 0 1 1 3 1.7c-1.3.9-2 1.600-2 3.300v1h2v-1c0-.8.3-1.100 1.200-1.800A4 4 0 0 0 12 5z',
  clipFrom: 'M8 4h7v2h-5v12h5v2H8z',
  clipTo: 'M9 4h7v16H9v-2h5V6H9z',
  plus: 'M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z',
  minus: 'M5 11h14v2H5z',
};

export function icon(name) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  const path = document.createElementNS(ns, 'path');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', PATHS[name]);
  path.setAttribute('fill-rule', 'evenodd');
  svg.append(path);
  return svg;
}

/* A button with an icon; label is its name and its tooltip. */
export function button(name, label, onclick, key = '') {
  return el('button.rcp-button', {
    type: 'button', onclick, title: key ? `${label} (${key})` : label, 'aria-label': label},
  icon(name));
}
