// Asks the server what it thinks of a draft, shortly after the last key.
import { useCallback, useEffect, useRef, useState } from 'react';
import { call } from '../../api/client.ts';
import type { CheckAnswer } from '../../api/types.ts';

/** A pause in typing; a mistake is to be seen within half a second of the last key. */
export const CHECK_AFTER_MS = 150;

export interface Check {
  answer: CheckAnswer | null;
  error: unknown;
  busy: boolean;
  now: () => void;
}

export function useCheck(app: string, base: string, files: Record<string, string>): Check {
  const [answer, setAnswer] = useState<CheckAnswer | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const key = JSON.stringify(files);
  const abort = useRef<AbortController | null>(null);

  const run = useCallback(async () => {
    abort.current?.abort();
    const mine = new AbortController();
    abort.current = mine;
    setBusy(true);
    try {
      const said = await call<CheckAnswer>('POST', `apps/${encodeURIComponent(app)}/check`, {
        body: { files: JSON.parse(key), base, bump: 'patch' },
        signal: mine.signal,
      });
      setAnswer(said);
      setError(null);
    } catch (e) {
      if (e instanceof DOMException && e.name === 'AbortError') return;
      setError(e);
    } finally {
      if (abort.current === mine) setBusy(false);
    }
  }, [app, base, key]);

  // The first check of a version takes the server longer: asked while the page is read, not typed in.
  useEffect(() => {
    const warm = new AbortController();
    call('POST', `apps/${encodeURIComponent(app)}/check`, { body: { files: {}, base, bump: 'patch' }, signal: warm.signal }).catch(() => undefined);
    return () => warm.abort();
  }, [app, base]);

  useEffect(() => {
    if (key === '{}') {
      abort.current?.abort();
      setAnswer(null);
      setError(null);
      setBusy(false);
      return undefined;
    }
    const timer = setTimeout(() => void run(), CHECK_AFTER_MS);
    return () => clearTimeout(timer);
  }, [key, run]);

  return { answer, error, busy, now: () => void run() };
}
