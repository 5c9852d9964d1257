// Ways to an endpoint, each with a one-time login that is made for it.
import { post } from './api.js';

const SECONDS = 60;

export const newTicket = (endpoint, seconds = SECONDS) => post('tickets', { endpoint, seconds });

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
