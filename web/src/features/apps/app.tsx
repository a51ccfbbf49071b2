// One app: what is live, what is on its way, and what can be done about it.
import { Alert, Anchor, Button, Group, Paper, Select, Stack, Text, Title } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { ActionResult, App } from '../../api/types.ts';
import { ActionButton, Done } from '../../components/act.tsx';
import { Fact, Facts, PageTitle, ReleaseLink, VerdictWord, When } from '../../components/basics.tsx';
import { ChangeTable } from '../../components/changes.tsx';
import { Load } from '../../components/load.tsx';
import { Rows } from '../../components/rows.tsx';
import { versionFor } from '../../lib/confirm.ts';
import { shortRelease } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import { hasRole, useSession } from '../../lib/session.tsx';
import { verdictOf } from '../../lib/verdict.ts';

export function AppPage() {
  const { app: name } = useParams({ from: '/apps/$app' });
  const app = useQuery(queries.app(name));
  return (
    <>
      <PageTitle title={name}>
        <Propose app={name} />
      </PageTitle>
      <Load query={app}>{(data) => <Detail app={data} />}</Load>
    </>
  );
}

function Propose({ app }: { app: string }) {
  if (!hasRole(useSession(), 'editor', 'approver', 'operator', 'admin')) return null;
  return <Button renderRoot={(p) => <Link to="/apps/$app/propose" params={{ app }} {...p} />}>{t('home.propose')}</Button>;
}

function Detail({ app }: { app: App }) {
  const changes = useQuery(queries.changes({ app: app.name, limit: 10 }));
  return (
    <Stack gap="lg">
      {app.killed && (
        <Alert color="red" variant="outline" title={t('app.killed')}>
          <Text size="sm">
            {t('app.killed_text')} <When at={app.killed} />
          </Text>
        </Alert>
      )}
      <Paper withBorder p="md">
        <Facts>
          <Fact label={t('home.production')}>
            <ReleaseLink id={app.production} />
          </Fact>
          {Object.entries(app.labels).map(([kind, label]) => (
            <Fact key={kind} label={t(`component.${kind}`, { defaultValue: kind })}>
              {label}
            </Fact>
          ))}
          <Fact label={t('app.owner')}>{app.owner}</Fact>
          <Fact label={t('app.risk')}>{t(`risk.${app.risk}`, { defaultValue: app.risk })}</Fact>
          <Fact label={t('home.rollout')}>
            {app.rollout ? (
              <Anchor renderRoot={(p) => <Link to="/rollouts/$id" params={{ id: app.rollout ?? '' }} {...p} />} inherit>
                {app.rollout}
              </Anchor>
            ) : (
              t('home.no_rollout')
            )}
          </Fact>
          {app.cool_down_until && (
            <Fact label={t('app.cool_down')}>
              <When at={app.cool_down_until} />
            </Fact>
          )}
        </Facts>
      </Paper>
      <Actions app={app} />
      <section>
        <Title order={2} size="h4" mb="sm">
          {t('app.changes')}
        </Title>
        <Load query={changes}>{(page) => <ChangeTable changes={page.items} />}</Load>
      </section>
      <History app={app} />
    </Stack>
  );
}

function Actions({ app }: { app: App }) {
  const client = useQueryClient();
  const releases = useQuery(queries.releases({ app: app.name }));
  const [to, setTo] = useState<string | null>(null);
  const [done, setDone] = useState<string | null>(null);
  const act = (kind: string) => async (reason: string) => {
    const result = await post<ActionResult>(
      `apps/${app.name}/actions`,
      { kind, reason: reason || undefined, to: kind === 'rollback' && to ? to : undefined },
      versionFor(kind, app.generation),
    );
    setDone(`${result.done.text} ${t('act.gateways', { n: result.gateways[0], m: result.gateways[1] })}`);
    await client.invalidateQueries();
  };
  if (!app.allowed_actions?.length) return null;
  const earlier = (releases.data?.items ?? []).filter((r) => !r.live && !r.denied);
  return (
    <section aria-label={t('app.actions')}>
      <Title order={2} size="h4" mb="sm">
        {t('app.actions')}
      </Title>
      <Group align="flex-start">
        {app.allowed_actions.map((action) => (
          <ActionButton
            key={action.kind}
            action={action}
            ask={{
              label: t(`act.${action.kind}`, { defaultValue: action.kind }),
              busy: t('act.working'),
              title: t('act.title', { what: t(`act.${action.kind}`, { defaultValue: action.kind }), app: app.name }),
              tone: action.kind === 'kill' ? 'bad' : action.kind === 'rollback' ? 'warn' : undefined,
              variant: action.kind === 'unkill' ? 'filled' : 'default',
              optionalReason: true,
              chips: action.kind === 'unkill' ? undefined : [t('act.chip_wrong'), t('act.chip_slow'), t('act.chip_cost')],
              body:
                action.kind === 'rollback' && earlier.length > 0 ? (
                  <Select
                    label={t('app.back_to')}
                    placeholder={t('app.back_to_last')}
                    data={earlier.map((r) => ({
                      value: r.id,
                      label: `${shortRelease(r.id)} · ${Object.values(r.manifest.components)
                        .map((c) => `${c.name}@${c.version}`)
                        .join(', ')}`,
                    }))}
                    value={to}
                    onChange={setTo}
                    clearable
                    clearButtonProps={{ 'aria-label': t('common.clear') }}
                  />
                ) : undefined,
            }}
            run={act(action.kind)}
          />
        ))}
      </Group>
      <Done text={done} />
    </section>
  );
}

function History({ app }: { app: App }) {
  const rollouts = useQuery(queries.rollouts({ app: app.name, limit: 10 }));
  return (
    <section>
      <Title order={2} size="h4" mb="sm">
        {t('app.rollouts')}
      </Title>
      <Load query={rollouts}>
        {(page) =>
          page.items.length === 0 ? (
            <Text c="dimmed">{t('app.no_rollouts')}</Text>
          ) : (
            <Rows
              items={page.items}
              id={(r) => r.id}
              columns={[
                [t('live.what'), (r) => <Anchor renderRoot={(p) => <Link to="/rollouts/$id" params={{ id: r.id }} {...p} />}>{r.title}</Anchor>],
                [t('live.state'), (r) => <VerdictWord verdict={verdictOf(r)} />],
                [t('live.version'), (r) => <ReleaseLink id={r.candidate} />],
                [t('live.started'), (r) => <When at={r.started_at} />],
              ]}
            />
          )
        }
      </Load>
    </section>
  );
}
