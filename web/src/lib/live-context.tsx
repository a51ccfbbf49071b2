// Hands live events to whatever is shown.
import { useQueryClient } from '@tanstack/react-query';
import { createContext, useContext, useEffect, useRef, useState, type ReactNode } from 'react';
import { refresh } from '../api/queries.ts';
import { Live, type Status } from './live.ts';
import { SESSION_KEY } from './session.tsx';

const Wanted = createContext<(topic: string) => () => void>(() => () => {});
const Now = createContext<Status>({ state: 'connecting', heard: 0 });

export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [status, setStatus] = useState<Status>({ state: 'connecting', heard: 0 });
  const topics = useRef(new Map<string, number>());
  const live = useRef<Live | null>(null);

  useEffect(() => {
    const one = new Live({
      changed: (event) => refresh(client, event.topic),
      resync: () => void client.invalidateQueries({ predicate: (q) => q.queryKey[0] !== 'session' }),
      signedOut: () => client.setQueryData(SESSION_KEY, null),
      status: setStatus,
    });
    live.current = one;
    one.want([...topics.current.keys()]);
    return () => {
      live.current = null;
      one.close();
    };
  }, [client]);

  const add = useRef((topic: string) => {
    const count = (by: number) => {
      const n = (topics.current.get(topic) ?? 0) + by;
      if (n > 0) topics.current.set(topic, n);
      else topics.current.delete(topic);
      live.current?.want([...topics.current.keys()]);
    };
    count(1);
    return () => count(-1);
  });
  return (
    <Wanted.Provider value={add.current}>
      <Now.Provider value={status}>{children}</Now.Provider>
    </Wanted.Provider>
  );
}

/** Asks for the events of a topic while the caller is shown. */
export function useTopic(topic: string | null): void {
  const add = useContext(Wanted);
  useEffect(() => (topic ? add(topic) : undefined), [add, topic]);
}

export const useLiveStatus = () => useContext(Now);
