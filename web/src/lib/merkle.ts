// The audit log's own check, in the browser: an entry's hash, the way from it to the signed root
// (RFC 9162, section 2.1.3.2; C2SP tlog-proof), and the signature of the root (signed note).
import { canonical } from './canonical.ts';

export interface Proof {
  index: number;
  hashes: Uint8Array[];
  origin: string;
  size: number;
  root: Uint8Array;
  /** The text that is signed. */
  signed: string;
  signatures: { name: string; key: Uint8Array; value: Uint8Array }[];
}

type Bytes = Uint8Array<ArrayBuffer>;

function bytes(base64: string): Bytes {
  const text = atob(base64);
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}
const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, i) => byte === b[i]);

async function hash(prefix: number, ...parts: Uint8Array[]): Promise<Bytes> {
  const all = new Uint8Array(1 + parts.reduce((n, p) => n + p.length, 0));
  all[0] = prefix;
  let at = 1;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', all));
}

/** The hash of an entry: its canonical form is the leaf. */
export const leafHash = (entry: unknown) => hash(0, new TextEncoder().encode(canonical(entry)));
export const nodeHash = (left: Uint8Array, right: Uint8Array) => hash(1, left, right);

/** Reads `c2sp.org/tlog-proof@v1`; throws if it is none. */
export function parseProof(text: string): Proof {
  const gap = text.indexOf('\n\n');
  const [first = '', index = '', ...hashes] = text.slice(0, gap).split('\n');
  const note = text.slice(gap + 2);
  const end = note.indexOf('\n\n');
  if (gap < 0 || end < 0 || first !== 'c2sp.org/tlog-proof@v1' || !/^index \d+$/.test(index)) throw new Error('no proof');
  const [origin = '', size = '', root = ''] = note.slice(0, end).split('\n');
  const signatures = note
    .slice(end + 2)
    .split('\n')
    .filter((line) => line.startsWith('\u2014 '))
    .map((line) => {
      const [, name = '', value = ''] = line.split(' ');
      const all = bytes(value);
      return { name, key: all.slice(0, 4), value: all.slice(4) };
    });
  return {
    index: Number(index.slice(6)),
    hashes: hashes.map(bytes),
    origin,
    size: Number(size),
    root: bytes(root),
    signed: note.slice(0, end + 1),
    signatures,
  };
}

/** Whether the proof leads from this leaf to its root. */
export async function included(leaf: Uint8Array, proof: Proof): Promise<boolean> {
  let place = proof.index;
  let last = proof.size - 1;
  if (place > last) return false;
  let at = leaf;
  for (const other of proof.hashes) {
    if (last === 0) return false;
    if (place % 2 === 1 || place === last) {
      at = await nodeHash(other, at);
      while (place % 2 === 0 && place !== 0) {
        place = Math.floor(place / 2);
        last = Math.floor(last / 2);
      }
    } else {
      at = await nodeHash(at, other);
    }
    place = Math.floor(place / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && same(at, proof.root);
}

/** Whether the log's key signed this root; `null` if this browser cannot tell. */
export async function signedBy(logKey: string, proof: Proof): Promise<boolean | null> {
  const [name = '', id = '', ...rest] = logKey.split('+');
  const key = bytes(rest.join('+'));
  const mine = proof.signatures.find((s) => s.name === name && Array.from(s.key, (b) => b.toString(16).padStart(2, '0')).join('') === id);
  if (!mine || key[0] !== 1 || proof.origin !== name) return false;
  try {
    const ed = await crypto.subtle.importKey('raw', key.slice(1), 'Ed25519', false, ['verify']);
    return await crypto.subtle.verify('Ed25519', ed, mine.value as Bytes, new TextEncoder().encode(proof.signed));
  } catch {
    return null;
  }
}

export interface Checked {
  /** Entries that are in the log as they are shown. */
  good: number[];
  /** Entries that are not. */
  bad: number[];
  signature: boolean | null;
}

/** Checks shown entries one by one; a few at a time. */
export async function check(
  rows: { index: number; entry: unknown }[],
  logKey: string,
  fetchProof: (index: number) => Promise<string>,
): Promise<Checked> {
  const result: Checked = { good: [], bad: [], signature: null };
  const signatures: (boolean | null)[] = [];
  const one = async (row: { index: number; entry: unknown }, again = true): Promise<void> => {
    const proof = parseProof(await fetchProof(row.index));
    const fits = proof.index === row.index && (await included(await leafHash(row.entry), proof));
    // The log may have grown while the proof was made.
    if (!fits && again) return one(row, false);
    (fits ? result.good : result.bad).push(row.index);
    signatures.push(await signedBy(logKey, proof));
    return undefined;
  };
  const left = [...rows];
  const lane = async () => {
    for (let row = left.shift(); row; row = left.shift()) await one(row);
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
  result.signature = signatures.includes(false) ? false : signatures.includes(null) ? null : signatures.length > 0 || null;
  return result;
}
