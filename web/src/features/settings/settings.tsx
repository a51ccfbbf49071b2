// Settings: oneself, people, tokens and the installation; policies, models and notifications
// have pages of their own.
import { Button, Group, Stack } from '@mantine/core';
import { Link, useParams } from '@tanstack/react-router';
import { Suspense, lazy, type ReactNode } from 'react';
import { PageTitle } from '../../components/basics.tsx';
import { Waiting } from '../../components/load.tsx';
import { NotFound } from '../../components/not-found.tsx';
import { t } from '../../lib/i18n.ts';
import { Installation } from './installation.tsx';
import { Myself } from './myself.tsx';
import { People } from './people.tsx';
import { Tokens } from './tokens.tsx';
import 'virtual:texts/settings';

const PARTS = ['notifications', 'policies', 'models'] as const;
const PART = {
  notifications: lazy(() => import('./notifications.tsx').then((m) => ({ default: m.Notifications }))),
  policies: lazy(() => import('./policies.tsx').then((m) => ({ default: m.Policies }))),
  models: lazy(() => import('./models.tsx').then((m) => ({ default: m.Models }))),
};

function Page({ part, children }: { part?: string; children: ReactNode }) {
  const link = (name: (typeof PARTS)[number] | undefined, label: string) => (
    <Button
      size="xs"
      variant={name === part ? 'filled' : 'default'}
      renderRoot={(p) =>
        name ? (
          <Link to="/settings/$part" params={{ part: name }} aria-current={name === part ? 'page' : undefined} {...p} />
        ) : (
          <Link to="/settings" aria-current={part ? undefined : 'page'} {...p} />
        )
      }
    >
      {label}
    </Button>
  );
  return (
    <>
      <PageTitle title={part ? t(`settings.part_${part}`) : t('nav.settings')} />
      <Group gap="xs" mb="lg" component="nav" aria-label={t('nav.settings')}>
        {link(undefined, t('settings.part_people'))}
        {PARTS.map((name) => (
          <span key={name}>{link(name, t(`settings.part_${name}`))}</span>
        ))}
      </Group>
      <Stack gap="xl">{children}</Stack>
    </>
  );
}

export function Settings() {
  return (
    <Page>
      <Myself />
      <People />
      <Tokens />
      <Installation />
    </Page>
  );
}

export function SettingsPart() {
  const { part } = useParams({ from: '/settings/$part' });
  const Part = PART[part as keyof typeof PART];
  if (!Part) return <NotFound />;
  return (
    <Page part={part}>
      <Suspense fallback={<Waiting />}>
        <Part />
      </Suspense>
    </Page>
  );
}
