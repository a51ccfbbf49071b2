// Who is signed in. The server decides what they may do; roles here only choose what to offer first.
import { useQuery, useQueryClient, type QueryClient } from '@tanstack/react-query';
import { createContext, useContext, useEffect, type ReactNode } from 'react';
import { Problem, call, get, setCsrf, whenSignedOut } from '../api/client.ts';
import type { Session, WhoAmI } from '../api/types.ts';

const Context = createContext<Session | null>(null);

/** The session, or `null` when nobody is signed in. */
export async function readSession(): Promise<Session | null> {
  try {
    const session = await get<Session>('session');
    setCsrf(session.csrf);
    return session;
  } catch (e) {
    if (!(e instanceof Problem) || e.status !== 401) throw e;
    // The dev server may sign requests in with a token of its own; then there is no cookie.
    if (import.meta.env.DEV) return get<WhoAmI>('whoami').then(fromToken, () => null);
    return null;
  }
}

function fromToken(who: WhoAmI): Session {
  return {
    person: { id: who.person.name, name: who.person.display || who.person.name, roles: who.person.roles, kind: 'person' },
    csrf: '',
    expires_at: 0,
    demo: false,
    installation: { name: who.origin, version: '', environment: who.environment },
  };
}

export const SESSION_KEY = ['session'];

export function useSessionQuery() {
  return useQuery({ queryKey: SESSION_KEY, queryFn: readSession, staleTime: Infinity, retry: false });
}

/** Gives the session to everything below. */
export function SessionProvider({ session, children }: { session: Session; children: ReactNode }) {
  const client = useQueryClient();
  useEffect(() => {
    whenSignedOut(() => client.setQueryData(SESSION_KEY, null));
  }, [client]);
  return <Context.Provider value={session}>{children}</Context.Provider>;
}

export function useSession(): Session {
  const session = useContext(Context);
  if (!session) throw new Error('used outside of a session');
  return session;
}

export const hasRole = (session: Session, ...roles: string[]) =>
  session.person.roles.some((role) => roles.includes(role));

/** Another person sits here now, or nobody: what the one before saw is forgotten. */
export function changeSession(client: QueryClient, session: Session | null): void {
  client.setQueryData(SESSION_KEY, session);
  client.removeQueries({ predicate: (q) => q.queryKey[0] !== SESSION_KEY[0] });
}

/** Where one signs out of the company's account too, after signing out here; asked for once. */
let left: { name: string; url: string } | null = null;
export function leftProvider() {
  const was = left;
  left = null;
  return was;
}
export function remember(session: Session): void {
  const { provider } = session;
  left = provider?.sign_out && /^https?:\/\//.test(provider.sign_out) ? { name: provider.name, url: provider.sign_out } : null;
}

export async function signIn(body: Record<string, string>): Promise<Session> {
  const session = await call<Session>('POST', 'session', { body });
  setCsrf(session.csrf);
  return session;
}

export async function viewAs(person: string): Promise<Session> {
  const session = await call<Session>('POST', 'session/as', { body: { person } });
  setCsrf(session.csrf);
  return session;
}

export const signOut = () => call<void>('DELETE', 'session');
