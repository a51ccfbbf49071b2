// Around every page: sign-in for those who are not signed in, the shell for the others.
import { Box, Button, Stack } from '@mantine/core';
import { Outlet } from '@tanstack/react-router';
import { Suspense, lazy } from 'react';
import { t } from '../lib/i18n.ts';
import { LiveProvider } from '../lib/live-context.tsx';
import { SessionProvider, useSessionQuery } from '../lib/session.tsx';
import { ProblemBox, Waiting } from './load.tsx';
import { Shell } from './shell.tsx';

const SignIn = lazy(() => import('../features/signin/signin.tsx').then((m) => ({ default: m.SignIn })));

export function Root() {
  const session = useSessionQuery();
  if (session.isPending) {
    return (
      <Box p="xl">
        <Waiting />
      </Box>
    );
  }
  if (session.isError) {
    return (
      <Stack p="xl" maw={640} mx="auto" component="main">
        <ProblemBox error={session.error} />
        <Button onClick={() => void session.refetch()}>{t('common.retry')}</Button>
      </Stack>
    );
  }
  if (!session.data) {
    return (
      <Suspense>
        <SignIn />
      </Suspense>
    );
  }
  return (
    <SessionProvider session={session.data}>
      <LiveProvider key={session.data.person.id}>
        <Shell>
          <Outlet />
        </Shell>
      </LiveProvider>
    </SessionProvider>
  );
}
