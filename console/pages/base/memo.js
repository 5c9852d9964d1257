// Components that are drawn again only when one of their properties is another
// value: a list of hundreds of rows of which one changed.
import { h } from 'preact';

export function isSame(a, b) {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.is(a[key], b[key]));
}

export function memo(component) {
  function shouldComponentUpdate(next) {
    return !isSame(this.props, next);
  }
  return function Memo(props) {
    this.shouldComponentUpdate = shouldComponentUpdate;
    return h(component, props);
  };
}
