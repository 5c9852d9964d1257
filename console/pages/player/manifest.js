/* A recording's signed manifest, checked with WebCrypto (docs/evidence.md):
 * who signed it, and the SHA-256 of each block of the file. */

const PREFIX = 'relaycam signed manifest 1\n';
const CHAIN = 'relaycam evidence 1\n';
const CLUSTER_CHAIN = 'relaycam clusters 1\n';
const BLOCKS_MAX = 1024;
const CLUSTERS_MAX = 32768;
const CLUSTER_HEX = 16; /* digits of a cluster's hash that are kept */

/* ---- JSON that keeps numbers as they are written ----
 *
 * Times are nanoseconds beyond 2^53, which JSON.parse would round. Numbers
 * become {number: TEXT}; everything else is as usual. */

const TOKEN = /[ \t\r\n]*(?:([{}[\],:])|("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null))/y;

function tokens(text) {
  const out = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const from = TOKEN.lastIndex, m = TOKEN.exec(text);
    if (!m) {
      if (/^[ \t\r\n]*$/.test(text.slice(from)))
        return out;
      throw new SyntaxError('no JSON at character ' + from);
    }
    out.push(m);
  }
  return out;
}

export function parseExact(text) {
  const all = tokens(text);
  let at = 0, depth = 0;

  const mark = () => (all[at] ? all[at][1] : undefined);
  const take = m => {
    if (mark() !== m)
      throw new SyntaxError('no JSON: ' + m + ' is missing');
    at++;
  };
  const list = (end, one) => {
    at++;
    if (mark() === end) {
      at++;
      return;
    }
    for (;;) {
      one();
      if (mark() === end)
        break;
      take(',');
    }
    at++;
  };
  const value = () => {
    const t = all[at];
    if (!t || ++depth > 64)
      throw new SyntaxError('no JSON');
    let out;
    if (t[1] === '{') {
      out = new Map();
      list('}', () => {
        const name = all[at++];
        if (!name || !name[2])
          throw new SyntaxError('no JSON: a name is missing');
        take(':');
        out.set(JSON.parse(name[2]), value());
      });
    } else if (t[1] === '[') {
      out = [];
      list(']', () => out.push(value()));
    } else if (t[1]) {
      throw new SyntaxError('no JSON: unexpected ' + t[1]);
    } else {
      at++;
      out = t[2] !== undefined ? JSON.parse(t[2]) :
        t[3] !== undefined ? {number: t[3]} : JSON.parse(t[4]);
    }
    depth--;
    return out;
  };

  const out = value();
  if (at !== all.length)
    throw new SyntaxError('no JSON: something follows');
  return out;
}

function compareBytes(a, b) {
  const x = new TextEncoder().encode(a), y = new TextEncoder().encode(b);
  for (let i = 0; i < x.length && i < y.length; i++)
    if (x[i] !== y[i])
      return x[i] - y[i];
  return x.length - y.length;
}

/* The one form that is signed. Control characters without a name are escaped
 * with upper-case digits, as jansson does it. */
export function canonical(v) {
  if (v instanceof Map) {
    const names = [...v.keys()].sort(compareBytes);
    return '{' + names.map(n => canonical(n) + ':' + canonical(v.get(n))).join(',') + '}';
  }
  if (Array.isArray(v))
    return '[' + v.map(canonical).join(',') + ']';
  if (typeof v === 'string')
    return JSON.stringify(v).replace(/\\u[0-9a-f]{4}/g, u => '\\u' + u.slice(2).toUpperCase());
  return v !== null && typeof v === 'object' ? v.number : String(v);
}

/* ---- bytes ---- */

export function fromHex(hex) {
  if (typeof hex !== 'string' || !/^([0-9a-f]{2})*$/.test(hex))
    return null;
  return Uint8Array.from(hex.match(/../g) || [], h => parseInt(h, 16));
}

export function toHex(bytes) {
  return Array.from(new Uint8Array(bytes), b => b.toString(16).padStart(2, '0')).join('');
}

export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

function join(...parts) {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

function number8(n) {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(n));
  return out;
}

/* ---- the manifest ---- */

const string = (map, name) => {
  const v = map instanceof Map ? map.get(name) : undefined;
  return typeof v === 'string' ? v : '';
};

function readBlock(line) {
  const m = /^(\d{1,12}) (\d{1,12}) ([0-9a-f]{64})$/.exec(line);
  return m ? {offset: Number(m[1]), length: Number(m[2]), hash: m[3]} : null;
}

/* Blocks in the order of the file, or null when they make up none: those
 * behind the header follow each other, the header is the last. */
function fileOrder(blocks) {
  const sorted = [blocks[blocks.length - 1], ...blocks.slice(0, -1)];
  let at = 0;
  for (const b of sorted) {
    if (b.offset !== at || b.length === 0)
      return null;
    at += b.length;
  }
  return sorted;
}

async function chain(segment, blocks) {
  const ascii = new TextEncoder();
  let root = await sha256(ascii.encode(CHAIN + segment));
  for (const b of blocks)
    root = await sha256(join(root, number8(b.offset), number8(b.length), fromHex(b.hash)));
  return toHex(root);
}

/* ---- clusters within blocks ---- */

/* "length hash length hash" of a block: [{offset, length, hash}], which make it up;
 * null: they do not. */
function readClusters(text, block) {
  if (text === '')
    return [];
  if (typeof text !== 'string' || !/^\d{1,10} [0-9a-f]{16}( \d{1,10} [0-9a-f]{16})+$/.test(text))
    return null;
  const words = text.split(' '), out = [];
  let at = block.offset;
  for (let i = 0; i < words.length; i += 2) {
    const length = Number(words[i]);
    if (length === 0)
      return null;
    out.push({offset: at, length, hash: words[i + 1]});
    at += length;
  }
  return at === block.offset + block.length ? out : null;
}

function clustersRoot(root, lists) {
  const size = lists.reduce((n, list) => n + 8 + list.length * (8 + CLUSTER_HEX / 2), 0);
  const bytes = new Uint8Array(size), view = new DataView(bytes.buffer);
  let at = 0;
  for (const list of lists) {
    view.setBigUint64(at, BigInt(list.length));
    at += 8;
    for (const c of list) {
      view.setBigUint64(at, BigInt(c.length));
      bytes.set(fromHex(c.hash), at + 8);
      at += 8 + CLUSTER_HEX / 2;
    }
  }
  return sha256(join(new TextEncoder().encode(CLUSTER_CHAIN), fromHex(root), bytes));
}

/* Gives each block its clusters; a manifest without a list that is known here gives
 * them none. Whether the list is that of these blocks. */
async function takeClusters(blocks, evidence) {
  const clusters = evidence.get('clusters'), version = clusters?.get?.('version')?.number;
  if (clusters === undefined || Number(version) > 1) {
    blocks.forEach(b => { b.clusters = []; });
    return true;
  }
  const texts = clusters instanceof Map ? clusters.get('blocks') : null;
  if (version !== '1' || !Array.isArray(texts) || texts.length !== blocks.length)
    return false;
  const lists = texts.map((text, i) => readClusters(text, blocks[i]));
  if (lists.includes(null) || lists.reduce((n, list) => n + list.length, 0) > CLUSTERS_MAX)
    return false;
  blocks.forEach((b, i) => { b.clusters = lists[i]; });
  return toHex(await clustersRoot(string(evidence, 'root'), lists)) === string(clusters, 'root');
}

async function isSigned(tree, key) {
  const signature = tree.get('signature');
  const bytes = fromHex(string(signature, 'ed25519'));
  const publicKey = fromHex(key.public_key);
  const id = toHex(await sha256(publicKey)).slice(0, 16);
  if (string(signature, 'key') !== id || bytes === null || bytes.length !== 64)
    return false;
  const rest = new Map(tree);
  rest.delete('signature');
  const text = new TextEncoder().encode(PREFIX + canonical(rest));
  const imported = await crypto.subtle.importKey('raw', publicKey, {name: 'Ed25519'}, false, ['verify']);
  return crypto.subtle.verify({name: 'Ed25519'}, imported, bytes, text);
}

/*
 * Checks the text of a manifest of the recording `id`. keys: of the console,
 * {public_key: hex}, or null. Returns {blocks: in the order of the file, each
 * with its clusters, or null, problem: null or a word: 'unsigned', 'unknown_key', 'signature',
 * 'other_recording', 'manifest'}. Blocks of a manifest with a problem prove
 * nothing.
 */
export async function checkManifest(text, id, key) {
  const bad = problem => ({blocks: null, problem});
  let tree;
  try {
    tree = parseExact(text);
  } catch {
    return bad('manifest');
  }
  if (!(tree instanceof Map))
    return bad('manifest');
  if (!(tree.get('signature') instanceof Map))
    return bad('unsigned');
  if (!key)
    return bad('unknown_key');
  if (!await isSigned(tree, key))
    return bad('signature');
  if (string(tree, 'segment') !== id)
    return bad('other_recording');
  const evidence = tree.get('evidence');
  const lines = evidence instanceof Map ? evidence.get('blocks') : null;
  if (!Array.isArray(lines) || lines.length < 1 || lines.length > BLOCKS_MAX)
    return bad('manifest');
  const blocks = lines.map(readBlock), sorted = blocks.includes(null) ? null : fileOrder(blocks);
  if (!sorted || await chain(id, blocks) !== string(evidence, 'root') ||
      !await takeClusters(blocks, evidence))
    return bad('manifest');
  return {blocks: sorted, problem: null};
}
