// One rollout, live. The sentence first, the numbers under it, what can be done beside them.
import { Alert, Anchor, Group, Paper, SimpleGrid, Stack, Switch, Text, Title } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { post } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { ActionResult, Rollout } from '../../api/types.ts';
import { ActionButton, Done } from '../../components/act.tsx';
import { Copyable, Fact, Facts, PageTitle, ReleaseLink, Say, Technical, VerdictWord, When } from '../../components/basics.tsx';
import { Load } from '../../components/load.tsx';
import { ShareBar } from '../../components/share.tsx';
import { versionFor } from '../../lib/confirm.ts';
import { changeNumber, clock, span } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import { useLiveStatus, useTopic } from '../../lib/live-context.tsx';
import { verdictOf } from '../../lib/verdict.ts';
import { Decisions } from './decisions.tsx';
import { Tiles } from './tiles.tsx';

export function RolloutPage() {
  const { id } = useParams({ from: '/rollouts/$id' });
  useTopic(`rollout:${id}`);
  const rollout = useQuery(queries.rollout(id));
  return (
    <>
      <PageTitle title={rollout.data ? t('live.title', { title: rollout.data.title }) : t('nav.live')} app={rollout.data?.app}>
        {rollout.data && (
          <Text c="dimmed" size="sm">
            <Anchor renderRoot={(p) => <Link to="/apps/$app" params={{ app: rollout.data.app }} {...p} />} inherit>
              {rollout.data.app}
            </Anchor>
            {' · '}
            <Anchor
              renderRoot={(p) => <Link to="/changes/$id" params={{ id: rollout.data.change.replace('ch-', '') }} {...p} />}
              inherit
            >
              {t('live.change', { n: changeNumber(rollout.data.change) })}
            </Anchor>
          </Text>
        )}
      </PageTitle>
      <Load query={rollout}>{(data) => <Detail rollout={data} />}</Load>
    </>
  );
}

function Detail({ rollout }: { rollout: Rollout }) {
  const [table, setTable] = useState(false);
  return (
    <Stack gap="lg">
      <VerdictBox rollout={rollout} />
      <Paper withBorder p="md" component="section" aria-label={t('live.who')}>
        <Group justify="space-between" mb="xs">
          <Title order={2} size="h4">
            {t('live.who')}
          </Title>
          <Text size="sm" c="dimmed">
            {t('live.sticky')}
          </Text>
        </Group>
        <ShareBar weight={rollout.exposure.weight} shadow={rollout.exposure.shadow} />
        <Steps rollout={rollout} />
        <Actions rollout={rollout} />
      </Paper>
      <section aria-label={t('live.measured')}>
        <Group justify="space-between" mb="sm">
          <Title order={2} size="h4">
            {t('live.measured')}
          </Title>
          <Switch label={t('live.as_table')} checked={table} onChange={(e) => setTable(e.currentTarget.checked)} />
        </Group>
        <Tiles rollout={rollout} table={table} />
      </section>
      <Decisions id={rollout.id} />
      <About rollout={rollout} />
    </Stack>
  );
}

function VerdictBox({ rollout }: { rollout: Rollout }) {
  const verdict = verdictOf(rollout);
  const text = rollout.report?.summary.text ?? rollout.decision?.text ?? t('live.starting');
  const live = useLiveStatus();
  const stale = live.state !== 'live' && live.heard > 0;
  return (
    <Paper withBorder p="md" className={`verdict-box box-${verdict}`} component="section" aria-label={t('live.verdict')}>
      <Text fw={700} mb={4} size="lg">
        <VerdictWord verdict={verdict} />
      </Text>
      <Text className="wrap verdict-text" data-testid="verdict">
        <Say text={text} />
      </Text>
      <Text size="xs" c="dimmed" mt={6}>
        {rollout.report && t('live.looked', { at: clock(rollout.report.at) })}
        {stale && ` · ${t('live.stale', { at: clock(live.heard) })}`}
      </Text>
      <Spoken text={`${t(`verdict.${verdict}`)}. ${rollout.title}`} />
      {rollout.incident && (
        <Alert variant="outline" color="orange" mt="sm">
          <Anchor renderRoot={(p) => <Link to="/incidents/$id" params={{ id: rollout.incident ?? '' }} {...p} />}>
            {t('live.incident', { id: rollout.incident })}
          </Anchor>
        </Alert>
      )}
    </Paper>
  );
}

/** Tells screen readers that the level changed, at most every ten seconds. */
function Spoken({ text }: { text: string }) {
  const [said, say] = useState('');
  const first = useRef(text);
  const last = useRef(0);
  useEffect(() => {
    if (text === first.current) return undefined;
    const timer = setTimeout(
      () => {
        last.current = Date.now();
        first.current = text;
        say(text);
      },
      Math.max(0, last.current + 10_000 - Date.now()),
    );
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <span className="visually-hidden" aria-live="polite">
      {said}
    </span>
  );
}

function Steps({ rollout }: { rollout: Rollout }) {
  const over = ['promoted', 'promoting'].includes(rollout.phase.name);
  const back = ['rolling_back', 'rolled_back'].includes(rollout.phase.name);
  const waiting = rollout.report?.waiting;
  const left = [
    waiting?.time && t('live.left_time', { time: span(waiting.time) }),
    waiting?.requests && t('live.left_requests', { count: waiting.requests }),
    waiting?.evidence.length && t('live.left_evidence', { what: waiting.evidence.join(', ') }),
    waiting?.person && t('live.left_person', { role: t(`role.${waiting.person}`, { defaultValue: waiting.person }) }),
  ].filter(Boolean);
  return (
    <ol className="steps" aria-label={t('live.steps')}>
      {rollout.steps.map((step, i) => {
        const state = over || i < rollout.step ? 'done' : i === rollout.step && !back ? 'now' : back ? (i === rollout.step ? 'ended' : 'skipped') : 'next';
        return (
          // Steps may repeat; their place is their identity.
          <li key={`${i}-${step}`} className={`step step-${state}`} aria-current={state === 'now' ? 'step' : undefined}>
            <Text size="sm" fw={state === 'now' ? 700 : 500}>
              <span aria-hidden="true">{state === 'done' ? '✓ ' : state === 'now' ? '▸ ' : state === 'ended' ? '↩ ' : ''}</span>
              {stepWords(step)}
            </Text>
            <Text size="xs" c="dimmed">
              {state === 'now' && left.length > 0 ? left.join(' · ') : t(`live.step_${state}`)}
            </Text>
          </li>
        );
      })}
    </ol>
  );
}

/** The plan's step in plain words; a step we do not know is shown as the server says it. */
function stepWords(step: string): string {
  const match = /^(shadow|weight|hold|approval by|promote)\s*(.*)$/.exec(step);
  if (!match) return step;
  const rest = (match[2] ?? '').replace(' until evidence', '');
  const key = { shadow: 'shadow', weight: 'weight', hold: 'hold', 'approval by': 'approval', promote: 'promote' }[match[1] ?? ''];
  const words = t(`step.${key}`, { rest });
  return step.endsWith('until evidence') ? `${words}, ${t('step.evidence')}` : words;
}

const ORDER = ['resume', 'approve', 'promote', 'pause', 'rollback', 'kill'];

function Actions({ rollout }: { rollout: Rollout }) {
  const client = useQueryClient();
  const app = useQuery(queries.app(rollout.app));
  const [done, setDone] = useState<string | null>(null);
  const act = (path: string, kind: string, generation: number) => async (reason: string) => {
    const began = performance.now();
    const result = await post<ActionResult>(path, { kind, reason: reason || undefined }, versionFor(kind, generation));
    setDone(
      `${result.done.text} ${t('act.fact', {
        ms: Math.round(performance.now() - began),
        n: result.gateways[0],
        m: result.gateways[1],
      })}`,
    );
    await client.invalidateQueries();
  };
  const kill = app.data?.allowed_actions?.find((a) => a.kind === 'kill');
  const all = [...rollout.allowed_actions, ...(kill ? [kill] : [])].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  const over = ['promoted', 'rolled_back'].includes(rollout.phase.name);
  if (over) return <Done text={done} />;
  return (
    <div className="actions">
      <Group gap="sm" align="flex-start" mt="md">
        {all
          // Continue has a meaning only while it is paused, and pause only while it is not.
          .filter((a) => !(a.kind === 'resume' && rollout.phase.name !== 'paused') && !(a.kind === 'pause' && rollout.phase.name === 'paused'))
          .map((action) => (
            <ActionButton
              key={action.kind}
              action={action}
              ask={{
                label: t(`act.${action.kind}`, { defaultValue: action.kind }),
                busy: t(`act.${action.kind}_busy`, { defaultValue: t('act.working') }),
                title: t('act.title', { what: t(`act.${action.kind}`, { defaultValue: action.kind }), app: rollout.app }),
                tone: action.kind === 'rollback' ? 'warn' : action.kind === 'kill' ? 'bad' : undefined,
                optionalReason: action.kind === 'rollback' || action.kind === 'kill',
                chips: ['rollback', 'kill'].includes(action.kind)
                  ? [t('act.chip_wrong'), t('act.chip_slow'), t('act.chip_cost')]
                  : undefined,
                body: action.kind === 'rollback' ? <BackTo rollout={rollout} /> : undefined,
              }}
              run={
                action === kill
                  ? act(`apps/${rollout.app}/actions`, 'kill', app.data?.generation ?? 0)
                  : act(`rollouts/${rollout.id}/actions`, action.kind, rollout.generation)
              }
            />
          ))}
      </Group>
      <Done text={done} />
    </div>
  );
}

/** What going back goes back to. */
function BackTo({ rollout }: { rollout: Rollout }) {
  return (
    <Facts>
      <Fact label={t('live.back_to')}>
        <ReleaseLink id={rollout.stable} /> · {Object.values(rollout.stable_labels).join(', ')}
      </Fact>
      <Fact label={t('live.back_from')}>
        <ReleaseLink id={rollout.candidate} /> · {Object.values(rollout.candidate_labels).join(', ')}
      </Fact>
    </Facts>
  );
}

function About({ rollout }: { rollout: Rollout }) {
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }}>
      <Paper withBorder p="md" component="section" aria-label={t('live.versions')}>
        <Title order={2} size="h4" mb="sm">
          {t('live.versions')}
        </Title>
        <Facts>
          <Fact label={t('live.new')}>
            <ReleaseLink id={rollout.candidate} /> · {Object.values(rollout.candidate_labels).join(', ')}
          </Fact>
          <Fact label={t('live.today')}>
            <ReleaseLink id={rollout.stable} /> · {Object.values(rollout.stable_labels).join(', ')}
          </Fact>
          <Fact label={t('live.exposed')}>{rollout.requests_exposed.toLocaleString('en')}</Fact>
          <Fact label={t('live.started')}>
            <When at={rollout.started_at} />
          </Fact>
          {rollout.swing_back && <Fact label={t('live.swing')}>{span(rollout.swing_back)}</Fact>}
        </Facts>
      </Paper>
      <Paper withBorder p="md">
        <Technical>
          <Facts>
            <Fact label={t('live.rollout')}>{rollout.id}</Fact>
            <Fact label={t('live.generation')}>{rollout.generation}</Fact>
            <Fact label={t('live.new')}>
              <Copyable value={rollout.candidate} />
            </Fact>
            <Fact label={t('live.today')}>
              <Copyable value={rollout.stable} />
            </Fact>
            {rollout.git_commit && (
              <Fact label={t('common.commit')}>
                <Copyable value={rollout.git_commit} />
              </Fact>
            )}
          </Facts>
        </Technical>
      </Paper>
    </SimpleGrid>
  );
}
