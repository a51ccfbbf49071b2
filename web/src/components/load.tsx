// Waiting, failing and being empty: the same on every page.
import { Alert, Button, Group, Paper, Skeleton, Stack, Text } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import { useEffect, useState, type ReactNode } from 'react';
import { Problem, UNREACHABLE } from '../api/client.ts';
import { t } from '../lib/i18n.ts';
import { Say } from './basics.tsx';

/** What went wrong, what to do, and the id to ask with. */
export function ProblemBox({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const problem = error instanceof Problem ? error : null;
  const away = problem?.code === UNREACHABLE;
  const title = away ? t('problem.unreachable') : problem ? problem.title || t('problem.title') : t('problem.page');
  return (
    <Alert color="red" variant="outline" title={title} className="problem" role="alert">
      <Stack gap={6}>
        <Text size="sm" className="wrap">
          {away ? t('problem.unreachable_hint') : <Say text={problem ? problem.detail : String(error)} />}
        </Text>
        {problem?.hint && (
          <Text size="sm" className="wrap">
            {t('problem.do')} <Say text={problem.hint} />
          </Text>
        )}
        {problem?.requestId && (
          <Text size="xs" c="dimmed" className="wrap">
            {t('problem.id', { id: problem.requestId })}
          </Text>
        )}
        {onRetry && (
          <Group>
            <Button size="xs" variant="default" onClick={onRetry}>
              {t('common.retry')}
            </Button>
          </Group>
        )}
      </Stack>
    </Alert>
  );
}

/** Grey bars, but only once the wait is long enough to be noticed. */
export function Waiting({ lines = 4 }: { lines?: number }) {
  const [shown, show] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => show(true), 200);
    return () => clearTimeout(timer);
  }, []);
  if (!shown) return <span hidden aria-busy="true" />;
  return (
    <Stack gap="sm" aria-busy="true" aria-label={t('common.loading')} role="status">
      {Array.from({ length: lines }, (_, i) => (
        <Skeleton key={i} height={i === 0 ? 28 : 18} width={`${95 - i * 9}%`} />
      ))}
    </Stack>
  );
}

/** Shows what a query brought; old data stays while newer is read. */
export function Load<T>({ query, children }: { query: UseQueryResult<T>; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) {
    return (
      <>
        {query.isError && <ProblemBox error={query.error} onRetry={() => void query.refetch()} />}
        {children(query.data)}
      </>
    );
  }
  if (query.isError) return <ProblemBox error={query.error} onRetry={() => void query.refetch()} />;
  return <Waiting />;
}

/** One sentence and at most one thing to do. */
export function Empty({ text, children }: { text: string; children?: ReactNode }) {
  return (
    <Paper withBorder p="lg" className="empty">
      <Text mb={children ? 'sm' : 0}>{text}</Text>
      {children}
    </Paper>
  );
}
