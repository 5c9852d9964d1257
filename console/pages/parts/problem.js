// Why something did not work, and what to do about it.
import { html } from '../base/html.js';
import { T } from '../texts.js';
import { Icon } from './icon.js';

// One sentence or two for a Problem.
export function explain(problem) {
  if (problem.status === 0) return problem.message || T.problem.noAnswer;
  if (problem.status === 429)
    return T.problem.busy(problem.retrySeconds || 5);
  if (problem.type === 'reauthentication-required') return T.problem.unconfirmed;
  if (problem.status === 503) return problem.message || T.problem.unavailable;
  if (problem.errors?.length) return problem.errors.map((e) => e.detail).join(' ');
  return problem.message || T.problem.unknown;
}

// In place of what could not be shown.
export function ProblemBox({ problem, onRetry }) {
  return html`<div class="notice failed" role="alert">
    <${Icon} name="warning" />
    <div><p>${explain(problem)}</p>
      ${onRetry && html`<button type="button" onClick=${onRetry}>${T.tryAgain}</button>`}</div>
  </div>`;
}

// Nothing is there (yet): what that means, and what to do.
export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2>${children}</div>`;
}
