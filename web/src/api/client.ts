// Speaks HTTP to the server: cookies, the token against forged writes, problem documents.

/** What the server says when it says no (RFC 9457). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    readonly hint: string,
    readonly requestId: string,
    readonly fields: { field?: string; message?: string }[] = [],
  ) {
    super(detail || title);
  }
}

/** No answer at all: the server is away, or the network is. */
export const UNREACHABLE = 'unreachable';

let csrf = '';
let onSignedOut: () => void = () => {};

/** Remembers the secret that writes carry beside the cookie. */
export function setCsrf(value: string): void {
  csrf = value;
}

/** Says what to do when the session has ended. */
export function whenSignedOut(act: () => void): void {
  onSignedOut = act;
}

/** Address of an API path, below the path the page itself is served from. */
export function apiUrl(path: string): string {
  return new URL(`api/v1/${path}`, document.baseURI).href;
}

/** A new key, so that a repeated click or retry is one action. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

interface Options {
  body?: unknown;
  /** Generation that was looked at; the server refuses if it has moved on. */
  ifMatch?: number;
  signal?: AbortSignal;
}

/** One request; throws a `Problem` for every no. */
export async function call<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  if (options.ifMatch !== undefined) headers['if-match'] = `"${options.ifMatch}"`;
  if (method !== 'GET') {
    headers['idempotency-key'] = newKey();
    if (csrf) headers['x-tidegate-csrf'] = csrf;
  }
  let response: Response;
  try {
    response = await fetch(apiUrl(path), {
      method,
      headers,
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: options.signal,
      credentials: 'same-origin',
    });
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e;
    throw new Problem(0, UNREACHABLE, '', '', '', '');
  }
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  let json: unknown = undefined;
  try {
    json = text ? JSON.parse(text) : undefined;
  } catch {
    // Told below: an answer that is no JSON is no answer of ours.
  }
  if (response.ok && json !== undefined) return json as T;
  const said = (json ?? {}) as Record<string, unknown>;
  const word = (key: string) => (typeof said[key] === 'string' ? (said[key] as string) : '');
  if (response.status === 401 && !path.startsWith('session')) onSignedOut();
  throw new Problem(
    response.status,
    word('code') || 'bad_answer',
    word('title'),
    word('detail'),
    word('hint'),
    word('request_id') || (response.headers.get('x-request-id') ?? ''),
    Array.isArray(said.fields) ? (said.fields as { field?: string; message?: string }[]) : [],
  );
}

export const get = <T>(path: string, signal?: AbortSignal) => call<T>('GET', path, { signal });
/** A text, for what is no JSON. */
export async function getText(path: string): Promise<string> {
  const response = await fetch(apiUrl(path), { credentials: 'same-origin' });
  if (!response.ok) throw new Problem(response.status, 'bad_answer', response.statusText, '', '', response.headers.get('x-request-id') ?? '');
  return response.text();
}
export const post = <T>(path: string, body: unknown, ifMatch?: number) =>
  call<T>('POST', path, { body, ifMatch });
