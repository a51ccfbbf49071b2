// Experiments: which variant does better, how sure that is, and who gets what meanwhile.
import { Anchor, Badge, Group, Paper, Stack, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { ActionResult, Experiment, ExperimentVariant } from '../../api/types.ts';
import { ActionButton, Done } from '../../components/act.tsx';
import { Fact, Facts, PageTitle, ReleaseLink, Say, Technical, When } from '../../components/basics.tsx';
import { Block } from '../../components/block.tsx';
import { Empty, Load } from '../../components/load.tsx';
import { More } from '../../components/more.tsx';
import { Rows } from '../../components/rows.tsx';
import { versionFor } from '../../lib/confirm.ts';
import { figure } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import { useTopic } from '../../lib/live-context.tsx';
import { signed } from '../../lib/proof.ts';
import 'virtual:texts/experiments';

const TONE: Record<string, string> = { running: 'info', won: 'good', ended: 'none' };

function PhaseBadge({ experiment }: { experiment: Experiment }) {
  const { name } = experiment.phase;
  return (
    <Badge variant="default" tt="none" className={`tone-${TONE[name] ?? 'none'}`}>
      {t(`experiments.phase_${name}`, { defaultValue: name })}
    </Badge>
  );
}

export function Experiments() {
  const search = useSearch({ from: '/experiments' });
  const experiments = useQuery(queries.experiments(search));
  useTopic('experiments');
  return (
    <>
      <PageTitle title={t('nav.experiments')} />
      <Load query={experiments}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty text={t('experiments.none')}>
              <pre className="raw" tabIndex={0} aria-label={t('experiments.example')}>
                {EXAMPLE}
              </pre>
            </Empty>
          ) : (
            <>
              <Rows
                items={page.items}
                id={(e) => e.id}
                columns={[
                  [
                    t('experiments.experiment'),
                    (e) => (
                      <>
                        <Anchor renderRoot={(p) => <Link to="/experiments/$id" params={{ id: e.id }} {...p} />} fw={600}>
                          {e.name}
                        </Anchor>
                        <Text size="xs" c="dimmed">
                          {e.app}
                        </Text>
                      </>
                    ),
                  ],
                  [t('experiments.state'), (e) => <PhaseBadge experiment={e} />],
                  [t('experiments.says'), (e) => <Say text={e.summary.text} />],
                  [t('experiments.started'), (e) => <When at={e.started_at} />],
                ]}
              />
              <More to="/experiments" search={search} next={page.next} />
            </>
          )
        }
      </Load>
    </>
  );
}

/** What a file looks like that asks such a question. */
const EXAMPLE = `apiVersion: tidegate/v1
variants: [{name: today}, {name: short, prompt: short}]
check_every: 10m
reward: {signal: accepted, kind: rate}
guards:
  - {name: error, kind: rate, worse: higher, notice: {times: 2}, action: rollback}
`;

export function ExperimentPage() {
  const { id } = useParams({ from: '/experiments/$id' });
  useTopic(`experiment:${id}`);
  const experiment = useQuery(queries.experiment(id));
  return (
    <>
      <PageTitle title={experiment.data?.name ?? id} app={experiment.data?.app}>
        {experiment.data && <PhaseBadge experiment={experiment.data} />}
      </PageTitle>
      <Load query={experiment}>{(data) => <Detail experiment={data} />}</Load>
    </>
  );
}

function Detail({ experiment }: { experiment: Experiment }) {
  const client = useQueryClient();
  const [done, setDone] = useState<string | null>(null);
  const act = (kind: string) => async (reason: string) => {
    const result = await post<ActionResult>(`experiments/${experiment.id}/actions`, { kind, reason: reason || undefined }, versionFor(kind, experiment.generation));
    setDone(result.done.text);
    await client.invalidateQueries();
  };
  const numbers = (v: ExperimentVariant, of: (n: NonNullable<ExperimentVariant['numbers']>) => string) => (v.numbers ? of(v.numbers) : '–');
  return (
    <Stack gap="lg">
      <Paper withBorder p="md" className="next-box">
        <Text fw={700} className="wrap">
          <Say text={experiment.summary.text} />
        </Text>
        <Text size="sm" c="dimmed">
          {experiment.looked_at ? t('experiments.looked') : t('experiments.first_look')} {experiment.looked_at && <When at={experiment.looked_at} />}
        </Text>
        <Group mt="sm" align="flex-start">
          {experiment.allowed_actions.map((action) => (
            <ActionButton
              key={action.kind}
              action={action}
              ask={{
                label: t(`experiments.act_${action.kind}`, { defaultValue: action.kind }),
                busy: t('act.working'),
                title: t('act.title', { what: t(`experiments.act_${action.kind}`, { defaultValue: action.kind }), app: experiment.app }),
              }}
              run={act(action.kind)}
            />
          ))}
        </Group>
        <Done text={done} />
      </Paper>
      <Block title={t('experiments.variants')}>
        <Rows
          items={experiment.variants}
          id={(v) => v.name}
          columns={[
            [
              t('experiments.variant'),
              (v) => (
                <>
                  <strong>{v.name}</strong> {v.name === experiment.control && t('experiments.control')}
                  <Text size="xs" c="dimmed">
                    {Object.values(v.labels).join(' · ')} <ReleaseLink id={v.release} />
                  </Text>
                  {v.dropped && (
                    <Text size="sm" className="verdict-stopped">
                      ✕ {t('experiments.dropped', { why: v.dropped })}
                    </Text>
                  )}
                </>
              ),
            ],
            [t('experiments.gets'), (v) => v.shares.join(', ') || '–'],
            [t('experiments.answers'), (v) => numbers(v, (n) => n.rewards.toLocaleString('en'))],
            [t('experiments.mean'), (v) => numbers(v, (n) => figure(n.mean ?? null))],
            [
              t('experiments.against'),
              (v) =>
                numbers(v, (n) =>
                  n.against_control == null
                    ? '–'
                    : n.interval
                      ? t('experiments.between', { value: signed(n.against_control), low: signed(n.interval[0]), high: signed(n.interval[1]) })
                      : signed(n.against_control),
                ),
            ],
            [t('experiments.best'), (v) => numbers(v, (n) => figure(n.probably_best ?? null, 'share'))],
          ]}
        />
        <Text size="sm" c="dimmed" mt="xs">
          {t('experiments.belief')}
        </Text>
      </Block>
      <Paper withBorder p="md">
        <Facts>
          <Fact label={t('home.app')}>
            <Anchor renderRoot={(p) => <Link to="/apps/$app" params={{ app: experiment.app }} {...p} />} inherit>
              {experiment.app}
            </Anchor>
          </Fact>
          <Fact label={t('experiments.started')}>
            <When at={experiment.started_at} /> · {experiment.started_by}
          </Fact>
          {experiment.incidents.map((i) => (
            <Fact key={i} label={t('nav.incidents')}>
              <Anchor renderRoot={(p) => <Link to="/incidents/$id" params={{ id: i }} {...p} />} inherit>
                {i}
              </Anchor>
            </Fact>
          ))}
        </Facts>
        <Technical>
          <pre className="raw" tabIndex={0} aria-label={t('experiments.policy')}>
            {JSON.stringify(experiment.policy, null, 2)}
          </pre>
        </Technical>
      </Paper>
    </Stack>
  );
}
