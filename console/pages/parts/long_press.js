// A long press with a finger is a right click. Chromium makes one of it, Safari
// on iOS does not.
import { useEffect, useRef } from '../base/html.js';

const HOLD_MS = 500;
const SLIP_PX = 10;

// The one that may follow when the finger leaves, and what takes the focus before it.
function swallowClick() {
  const stop = new AbortController();
  const options = { capture: true, signal: stop.signal };
  for (const type of ['mousedown', 'mouseup', 'click'])
    document.addEventListener(type, (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (type === 'click') stop.abort();
    }, options);
  for (const type of ['pointerdown', 'keydown'])
    document.addEventListener(type, () => stop.abort(), options);
}

// Handlers for an element; show(event): of pointerdown or contextmenu.
export function useLongPress(show) {
  const press = useRef(null); // { x, y, timer, isShown }
  const end = () => clearTimeout(press.current?.timer);
  useEffect(() => end, []);
  return {
    onPointerDown(event) {
      end();
      press.current = null;
      // a second finger is a pinch
      if (event.pointerType !== 'touch' || !event.isPrimary || event.target.closest('input')) return;
      const now = { x: event.clientX, y: event.clientY, isShown: false };
      now.timer = setTimeout(() => {
        now.isShown = true;
        swallowClick();
        show(event);
      }, HOLD_MS);
      press.current = now;
    },
    onPointerMove(event) {
      const now = press.current;
      if (now && Math.hypot(event.clientX - now.x, event.clientY - now.y) > SLIP_PX) end();
    },
    onPointerUp: end,
    onPointerCancel: end,
    onContextMenu(event) {
      end();
      const isTold = press.current?.isShown;
      press.current = null;
      if (isTold) event.preventDefault();
      else show(event);
    },
  };
}
