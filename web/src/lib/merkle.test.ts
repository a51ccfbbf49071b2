import { webcrypto } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { check, leafHash, nodeHash } from './merkle.ts';

const base64 = (b: Uint8Array) => Buffer.from(b).toString('base64');

/** Root of leaves [from, to), as RFC 9162 section 2.1.1 has it. */
async function root(leaves: Uint8Array[]): Promise<Uint8Array> {
  if (leaves.length === 1) return leaves[0] as Uint8Array;
  const half = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return nodeHash(await root(leaves.slice(0, half)), await root(leaves.slice(half)));
}
/** The path of section 2.1.3.1. */
async function path(leaves: Uint8Array[], at: number): Promise<Uint8Array[]> {
  if (leaves.length === 1) return [];
  const half = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return at < half
    ? [...(await path(leaves.slice(0, half), at)), await root(leaves.slice(half))]
    : [...(await path(leaves.slice(half), at - half)), await root(leaves.slice(0, half))];
}

describe('the log, checked in the browser', () => {
  const entries = Array.from({ length: 7 }, (_, i) => ({ at: i, action: 'x', details: { b: 1.5, a: ['é', null] } }));
  let key = '';
  let proofOf: (i: number) => Promise<string>;
  beforeAll(async () => {
    Object.defineProperty(globalThis, 'crypto', { value: webcrypto, configurable: true });
    const pair = (await webcrypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
    const raw = new Uint8Array(await webcrypto.subtle.exportKey('raw', pair.publicKey));
    const id = new Uint8Array([1, 2, 3, 4]);
    key = `log.example+01020304+${base64(new Uint8Array([1, ...raw]))}`;
    const leaves = await Promise.all(entries.map(leafHash));
    const signed = `log.example\n${leaves.length}\n${base64(await root(leaves))}\n`;
    const value = new Uint8Array(await webcrypto.subtle.sign('Ed25519', pair.privateKey, new TextEncoder().encode(signed)));
    const note = `${signed}\n\u2014 log.example ${base64(new Uint8Array([...id, ...value]))}\n`;
    proofOf = async (i) => `c2sp.org/tlog-proof@v1\nindex ${i}\n${(await path(leaves, i)).map((h) => `${base64(h)}\n`).join('')}\n${note}`;
  });
  const rows = () => entries.map((entry, index) => ({ index, entry }));

  it('finds every entry of an honest log', async () => {
    const said = await check(rows(), key, proofOf);
    expect([said.good.length, said.bad, said.signature]).toEqual([7, [], true]);
  });
  it('finds the one that was changed, and a root somebody else signed', async () => {
    const bent = rows().map((r) => (r.index === 3 ? { ...r, entry: { ...r.entry, action: 'y' } } : r));
    expect((await check(bent, key, proofOf)).bad).toEqual([3]);
    const pair = (await webcrypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
    const raw = new Uint8Array(await webcrypto.subtle.exportKey('raw', pair.publicKey));
    const other = `log.example+01020304+${base64(new Uint8Array([1, ...raw]))}`;
    expect((await check(rows(), other, proofOf)).signature).toBe(false);
  });
});
