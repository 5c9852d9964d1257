// The HTTP API (docs/api.md): requests, and answers that are problems.

const ROOT = '/api/v1/';
let csrf = '';
let onLoggedOut = () => {};
let onUnconfirmed = async () => false;

// A problem document (RFC 9457), or a console that does not answer.
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail || document.title || '');
    this.status = status; // 0: no answer
    this.type = (document.type || '').replace('/problems/', '');
    this.errors = document.errors || [];
    this.document = document;
    this.retrySeconds = 0;
  }
}

export function setCsrf(token) {
  csrf = token || '';
}

// Called when an answer says that this browser has no login any more.
export function setOnLoggedOut(callback) {
  onLoggedOut = callback;
}

// Called when the person is to show again that it is them; resolves to whether they did.
export function setOnUnconfirmed(callback) {
  onUnconfirmed = callback;
}

// A space is %20: the API takes a plus for itself (RFC 3986).
function withQuery(path, query) {
  const text = Object.entries(query || {})
    .filter(([, value]) => value !== undefined && value !== null && value !== '')
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join('&');
  return ROOT + path + (text ? `?${text}` : '');
}

export function urlOf(path, query) {
  return withQuery(path, query);
}

async function readProblem(response) {
  const type = response.headers.get('Content-Type') || '';
  const document = type.startsWith('application/problem+json') ? await response.json() : {};
  const problem = new Problem(response.status, document);
  problem.retrySeconds = Number(response.headers.get('Retry-After')) || 0;
  return problem;
}

async function send(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0, {});
  }
}

// options: query, body (JSON), signal, quiet (a 401 is the caller's), headers.
export async function request(method, path, options = {}) {
  const headers = { ...options.headers };
  if (method !== 'GET' && csrf) headers['X-CSRF-Token'] = csrf;
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  const response = await send(withQuery(path, options.query), {
    method,
    headers,
    body: options.body === undefined ? undefined : JSON.stringify(options.body),
    signal: options.signal,
    keepalive: options.keepalive,
  });
  if (!response.ok) {
    const problem = await readProblem(response);
    if (problem.type === 'not-logged-in' && !options.quiet) onLoggedOut();
    if (problem.type === 'reauthentication-required' && await onUnconfirmed())
      return request(method, path, options);
    throw problem;
  }
  return response.status === 204 ? null : response.json();
}

export const get = (path, query, options) => request('GET', path, { ...options, query });
export const post = (path, body, options) => request('POST', path, { ...options, body });
export const patch = (path, body, options) => request('PATCH', path, { ...options, body });
export const put = (path, body, options) => request('PUT', path, { ...options, body });
export const remove = (path, query, options) => request('DELETE', path, { ...options, query });
