// What every component imports: templates and hooks.
import { h } from 'preact';
import htm from 'htm';

export const html = htm.bind(h);
export { Fragment, render } from 'preact';
export {
  useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, useId,
  useErrorBoundary,
} from 'preact/hooks';
