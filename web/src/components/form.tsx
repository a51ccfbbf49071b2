// A form that is sent to the server: busy while it is, and says what was wrong.
import { Button, Group, Stack } from '@mantine/core';
import { useState, type FormEvent, type ReactNode } from 'react';
import { ProblemBox } from './load.tsx';

/** What stands in a field, without the spaces around it. */
export type Word = (name: string) => string;

export function Form({ send, label, tone, children }: { send: (word: Word) => Promise<void>; label: string; tone?: 'default' | 'filled'; children: ReactNode }) {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (e: FormEvent<HTMLFormElement>) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget);
    setBusy(true);
    setError(null);
    try {
      await send((name) => String(form.get(name) ?? '').trim());
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(e) => void submit(e)}>
      <Stack>
        {children}
        {error !== null && <ProblemBox error={error} />}
        <Group>
          <Button type="submit" loading={busy} variant={tone}>
            {label}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
