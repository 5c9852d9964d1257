// Ways to an endpoint, each with a one-time login that is made for it.
import { post } from './api.js';

const SECONDS = 60;

// display: undefined: the endpoint's first.
export const newTicket = (endpoint, { seconds = SECONDS, display } = {}) =>
  post('tickets', { endpoint, seconds, display });

// Nine digits, as an end user reads them out: "123 456 789"; else null.
export function sessionCode(text) {
  const digits = text.replace(/[\s.-]/g, '');
  return /^\d{9}$/.test(digits) ? digits : null;
}

// A session code is said in threes.
export const spokenName = (endpoint) => (sessionCode(endpoint) ? endpoint.replace(/\d{3}(?=\d)/g, '$& ') : endpoint);

// Of the browser viewer inside the console.
export const viewerPath = (endpoint, display) =>
  `/connect/${endpoint}${display ? `?display=${encodeURIComponent(display)}` : ''}`;

// VNC viewers' usual port, where the address has none.
function splitAddress(address) {
  const [, host, port] = /^(\[.*\]|[^:]*)(?::(\d+))?$/.exec(address) || ['', address];
  return { host, port: port || '5900' };
}

// RFC 7869
export function vncUri(ticket) {
  const { host, port } = splitAddress(ticket.address);
  const query = `VncUsername=${encodeURIComponent(ticket.user)}&VncPassword=${encodeURIComponent(ticket.password)}`;
  return `vnc://${host}:${port}?${query}`;
}

// What TigerVNC's viewer reads; it asks for user name and password.
export function vncFile(ticket) {
  const { host, port } = splitAddress(ticket.address);
  return `TigerVNC Configuration file Version 1.0\n\nServerName=${host}::${port}\nSecurityTypes=X509Plain\n`;
}

// Is it there to be connected to? null: the relay dials it when it is asked.
export const isReachable = (endpoint) => [null, 'connected', 'parked'].includes(endpoint.state);
