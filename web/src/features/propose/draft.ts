// Drafts save themselves: on the server, where only their author reads them, and where that
// fails in this browser.
import { useCallback, useEffect, useRef, useState } from 'react';
import { Problem, call, get } from '../../api/client.ts';
import type { Draft } from '../../api/types.ts';
import { read, write } from '../../components/basics.tsx';

export type Content = Pick<Draft, 'files' | 'plan' | 'why' | 'base'>;
const SAVE_AFTER_MS = 800;
const here = (app: string) => `tidegate-draft-${app}`;
const path = (app: string) => `drafts/${encodeURIComponent(app)}`;

/** The saved draft; what was kept in this browser wins, because it is what the server lacks. */
export async function loadDraft(app: string): Promise<Draft | null> {
  let server: Draft | null = null;
  try {
    server = await get<Draft>(path(app));
  } catch (e) {
    if (!(e instanceof Problem)) throw e;
  }
  const kept = read(here(app));
  if (!kept) return server;
  try {
    return { ...(JSON.parse(kept) as Content), app, saved_at: 0, version: server?.version ?? 0 };
  } catch {
    return server;
  }
}

export function useAutosave(app: string, content: Content, version: number) {
  const [state, setState] = useState<'none' | 'server' | 'here'>('none');
  const [at, setAt] = useState(0);
  const known = useRef(version);
  const key = JSON.stringify(content);
  const first = useRef(key);
  const stopped = useRef(false);

  useEffect(() => {
    if (key === first.current || stopped.current) return undefined;
    const timer = setTimeout(async () => {
      const save = () =>
        call<Draft>('PUT', path(app), { body: JSON.parse(key), ifMatch: known.current || undefined });
      try {
        let saved: Draft;
        try {
          saved = await save();
        } catch (e) {
          if (!(e instanceof Problem) || (e.status !== 412 && e.status !== 409)) throw e;
          // Another window of the same person saved: the newest keys win.
          known.current = (await get<Draft>(path(app))).version;
          saved = await save();
        }
        known.current = saved.version;
        first.current = key;
        write(here(app), null);
        setState('server');
        setAt(saved.saved_at || Date.now());
      } catch {
        write(here(app), key);
        setState('here');
      }
    }, SAVE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [app, key]);

  const forget = useCallback(async () => {
    stopped.current = true;
    write(here(app), null);
    try {
      await call('DELETE', path(app));
    } catch {
      // Nothing saved there is as good.
    }
  }, [app]);
  return { state, at, forget };
}
