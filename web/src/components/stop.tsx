// Stop harm from any page: this dialog is the first click, what it names is the second.
import { Button, Modal, Paper, Stack, Text, Textarea, Title } from '@mantine/core';
import { useQueries, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { post } from '../api/client.ts';
import * as queries from '../api/queries.ts';
import type { ActionResult, AllowedAction, App, Rollout } from '../api/types.ts';
import { findAction } from '../lib/confirm.ts';
import { t } from '../lib/i18n.ts';
import { sentence } from '../lib/sentence.ts';
import { Done } from './act.tsx';
import { Say } from './basics.tsx';
import { FILL } from './confirm-dialog.tsx';
import { Load, ProblemBox } from './load.tsx';

export function StopDialog({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const apps = useQuery(queries.apps());
  return (
    <Modal opened={opened} onClose={onClose} title={t('stop.title')} size="lg" returnFocus={false}>
      <Load query={apps}>{(page) => <Apps apps={page.items} />}</Load>
    </Modal>
  );
}

function Apps({ apps }: { apps: App[] }) {
  const [reason, setReason] = useState('');
  const names = apps.flatMap((a) => (a.rollout ? [a.rollout] : []));
  const rollouts = useQueries({ queries: names.map((name) => queries.rollout(name)) });
  const of = (app: App) => rollouts.map((r) => r.data).find((r) => r && r.id === app.rollout);
  // What is being tried on people now stands first.
  const sorted = [...apps].sort((a, b) => Number(Boolean(b.rollout)) - Number(Boolean(a.rollout)));
  if (apps.length === 0) return <Text>{t('stop.none')}</Text>;
  return (
    <Stack>
      {sorted.map((app) => (
        <One key={app.name} app={app} rollout={of(app)} reason={reason} />
      ))}
      <Textarea
        label={t('act.reason_optional')}
        description={t('act.reason_later')}
        value={reason}
        onChange={(e) => setReason(e.currentTarget.value)}
        autosize
      />
    </Stack>
  );
}

function One({ app, rollout, reason }: { app: App; rollout?: Rollout; reason: string }) {
  const client = useQueryClient();
  const [busy, setBusy] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [done, setDone] = useState<string | null>(null);
  // Whatever happened meanwhile, harm stops: no version is asked for.
  const act = async (path: string, kind: string) => {
    if (busy) return;
    setBusy(kind);
    setError(null);
    try {
      const result = await post<ActionResult>(path, { kind, reason: reason.trim() || undefined });
      setDone(`${result.done.text} ${t('act.gateways', { n: result.gateways[0], m: result.gateways[1] })}`);
      await client.invalidateQueries();
    } catch (e) {
      setError(e);
    } finally {
      setBusy('');
    }
  };
  const rows: { action: AllowedAction; label: string; busy: string; path: string; tone?: 'warn' | 'bad' }[] = [];
  if (rollout) {
    const path = `rollouts/${rollout.id}/actions`;
    const pause = findAction(rollout.allowed_actions, 'pause');
    const back = findAction(rollout.allowed_actions, 'rollback');
    if (pause?.enabled) rows.push({ action: pause, label: t('act.pause'), busy: t('act.pausing'), path });
    if (back?.enabled)
      rows.push({ action: back, label: t('act.rollback'), busy: t('act.going_back'), path, tone: 'warn' });
  }
  const kill = findAction(app.allowed_actions, 'kill');
  if (kill?.enabled)
    rows.push({ action: kill, label: t('act.kill_short'), busy: t('act.killing'), path: `apps/${app.name}/actions`, tone: 'bad' });
  return (
    <Paper withBorder p="md" component="section" aria-label={app.name}>
      <Title order={3} size="h5">
        {app.name}
      </Title>
      <Text size="sm" c="dimmed" mb="xs">
        {app.killed
          ? t('stop.killed')
          : rollout
            ? t('stop.rollout', { title: rollout.title, weight: rollout.exposure.weight })
            : t('stop.steady')}
      </Text>
      <Stack gap="xs">
        {rows.map((row) => (
          <div key={row.label} className="stop-row">
            <Button
              variant={row.tone ? 'filled' : 'default'}
              color={row.tone && FILL[row.tone]}
              aria-busy={busy === row.action.kind}
              onClick={() => void act(row.path, row.action.kind)}
            >
              {busy === row.action.kind ? row.busy : row.label}
            </Button>
            <Text size="sm">
              <Say text={sentence(row.action.consequence)} />
            </Text>
          </div>
        ))}
        {rows.length === 0 && !done && <Text size="sm">{t('stop.nothing')}</Text>}
      </Stack>
      {error !== null && <ProblemBox error={error} />}
      <Done text={done} />
    </Paper>
  );
}
