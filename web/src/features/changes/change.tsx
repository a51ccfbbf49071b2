// One change on one page: what comes next, what the checks say, who decides, what differs.
import { Alert, Anchor, Box, Checkbox, Group, Paper, Stack, Text, Title } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState, type ReactNode } from 'react';
import { post } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { Change } from '../../api/types.ts';
import { ActionButton, Done } from '../../components/act.tsx';
import { Copyable, Fact, Facts, PageTitle, ReleaseLink, Say, StateBadge, Technical, When } from '../../components/basics.tsx';
import { Evidence } from '../../components/evidence.tsx';
import { DiffView } from '../../components/diff.tsx';
import { Load } from '../../components/load.tsx';
import { fileName } from '../../lib/files.ts';
import { changeNumber, micros, shortRelease } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import { useSession } from '../../lib/session.tsx';
import { useTopic } from '../../lib/live-context.tsx';
import { Cases } from './cases.tsx';
import { Checks } from './checks.tsx';
import { Evaluation } from './evaluation.tsx';
import { Timeline } from './timeline.tsx';
import 'virtual:texts/decide';
import 'virtual:texts/decided';
import 'virtual:texts/evals';

export function ChangePage() {
  const { id } = useParams({ from: '/changes/$id' });
  const name = queries.changeId(id);
  useTopic(`change:${name.replace('ch-', '')}`);
  const change = useQuery(queries.change(id));
  const title = change.data ? `${changeNumber(change.data.id)} ${change.data.title}` : t('change.title', { n: id });
  return (
    <>
      <PageTitle title={title} app={change.data?.app}>
        {change.data && <StateBadge state={change.data.state} />}
      </PageTitle>
      <Load query={change}>{(data) => <Detail change={data} />}</Load>
    </>
  );
}

function Detail({ change }: { change: Change }) {
  return (
    <Stack gap="lg" className="with-bar">
      <Group justify="space-between" align="flex-start">
      <Text size="sm" className="wrap">
        {t('change.by', { author: change.author })} <When at={change.created_at} /> {t('change.for')}{' '}
        <Anchor renderRoot={(p) => <Link to="/apps/$app" params={{ app: change.app }} {...p} />} inherit>
          {change.app}
        </Anchor>
      </Text>
      <Evidence path={`changes/${change.id}/evidence`} />
      </Group>
      <Paper withBorder p="md" className="why">
        <Text size="xs" c="dimmed">
          {t('change.why')}
        </Text>
        <Text className="wrap">{change.why}</Text>
      </Paper>
      <Next change={change} />
      <Block title={t('change.checks')} id="checks">
        {change.report ? <Checks report={change.report} /> : <Text c="dimmed">{t('change.checks_soon')}</Text>}
      </Block>
      <Answers change={change} />
      <Cost change={change} />
      <Approvals change={change} />
      <What change={change} />
      <Block title={t('change.timeline')} id="timeline">
        <Timeline change={change} />
      </Block>
      <Paper withBorder p="md">
        <Technical>
          <Facts>
            <Fact label={t('change.branch')}>
              <Copyable value={change.branch} />
            </Fact>
            <Fact label={t('common.commit')}>
              <Copyable value={change.head} />
            </Fact>
            <Fact label={t('change.content')}>
              <Copyable value={change.content} />
            </Fact>
            {change.merge_commit && (
              <Fact label={t('change.merged')}>
                <Copyable value={change.merge_commit} />
              </Fact>
            )}
            {change.revert_commit && (
              <Fact label={t('change.reverted')}>
                <Copyable value={change.revert_commit} />
              </Fact>
            )}
          </Facts>
        </Technical>
      </Paper>
    </Stack>
  );
}

function Block({ title, id, children }: { title: string; id: string; children: ReactNode }) {
  return (
    <section aria-labelledby={id}>
      <Title order={2} size="h4" mb="sm" id={id}>
        {title}
      </Title>
      {children}
    </section>
  );
}

const OPEN = ['checking', 'needs_fixes', 'needs_approval', 'merging'];

/** What comes next, and the buttons for it: here, and on a phone at the bottom of the screen. */
function Next({ change }: { change: Change }) {
  const client = useQueryClient();
  const session = useSession();
  const [done, setDone] = useState<string | null>(null);
  const [seen, setSeen] = useState(false);
  const worse = useQuery(queries.evalCases(change.id, 'worse')).data?.counts.worse ?? 0;
  const warned = worse > 0 || (change.report?.gates.some((g) => g.findings.some((f) => f.severity === 'warning')) ?? false);
  const mine = [change.author, ...change.contributors].includes(session.person.id);
  const deciding = change.state === 'needs_approval';

  const act = (kind: string) => async (reason: string) => {
    if (kind === 'withdraw') {
      await post(`changes/${change.id}/withdraw`, { reason: reason || undefined }, change.generation);
      setDone(t('change.done_withdraw'));
    } else if (kind === 'recheck') {
      await post(`changes/${change.id}/recheck`, {}, change.generation);
    } else {
      await post(
        `changes/${change.id}/approvals`,
        { decision: kind, comment: reason, content: change.content },
        change.generation,
      );
      setDone(t(`change.done_${kind}`, { defaultValue: t('change.done') }));
    }
    await client.invalidateQueries();
  };
  const actions = change.allowed_actions.filter((a) => deciding || a.kind === 'withdraw' || a.kind === 'recheck' || (a.kind === 'approve' && change.asked));
  const open = actions.some((a) => a.enabled) || deciding;
  return (
    <Paper withBorder p="md" className="next-box" component="section" aria-label={t('change.next')}>
      <Text fw={700} className="wrap">
        {OPEN.includes(change.state) ? t('change.next') : t('change.state')}: <Say text={change.summary.text} />
      </Text>
      {change.rollout && (
        <Text size="sm" mt={4}>
          <Anchor renderRoot={(p) => <Link to="/rollouts/$id" params={{ id: change.rollout ?? '' }} {...p} />} inherit>
            {t('change.see_live')}
          </Anchor>
        </Text>
      )}
      {deciding && mine && (
        <Text size="sm" c="dimmed" mt={4}>
          {t('change.own')}
        </Text>
      )}
      {open && (
        <Box className={deciding && !mine ? 'decide-bar' : 'decide'} mt="sm">
          {deciding && warned && !mine && (
            <Checkbox
              label={t('change.read_it')}
              checked={seen}
              onChange={(e) => setSeen(e.currentTarget.checked)}
              mb="xs"
              className="read-it"
            />
          )}
          <Group gap="sm" align="flex-start">
            {actions.map((action) => {
              const unread = action.kind === 'approve' && action.enabled && warned && !seen;
              return (
                <ActionButton
                  key={action.kind}
                  action={{
                    ...action,
                    enabled: action.enabled && !unread,
                    why_not: unread ? t('change.read_first') : action.why_not,
                    // What is asked for is the reason; a yes despite warnings is written down with one.
                    confirm_level: action.kind === 'ask' ? 'C3' : action.confirm_level ?? (action.kind === 'approve' ? (warned ? 'C3' : 'C2') : undefined),
                  }}
                  ask={{
                    label: t(`decide.${action.kind}`, { defaultValue: action.kind }),
                    busy: t('act.working'),
                    title: t('decide.title', {
                      what: t(`decide.${action.kind}`, { defaultValue: action.kind }),
                      n: changeNumber(change.id),
                    }),
                    variant: action.kind === 'approve' ? 'filled' : 'default',
                    optionalReason: action.kind === 'approve',
                    body: action.kind === 'withdraw' || action.kind === 'recheck' ? undefined : (
                      <Text size="sm" c="dimmed">
                        {t('decide.bound', { version: shortRelease(change.release) })}
                      </Text>
                    ),
                  }}
                  run={act(action.kind)}
                />
              );
            })}
          </Group>
        </Box>
      )}
      <Done text={done} />
    </Paper>
  );
}

/** What the test cases measured, and the cases. */
function Answers({ change }: { change: Change }) {
  const report = useQuery(queries.evals(change.id));
  if (!report.data || report.data.suites.length === 0) return null;
  return (
    <Block title={t('evals.title')} id="answers">
      <Stack gap="md">
        <Evaluation report={report.data} />
        <Cases change={change} report={report.data} />
      </Stack>
    </Block>
  );
}

function Cost({ change }: { change: Change }) {
  const cost = change.facts?.cost;
  const tokens = change.facts?.tokens;
  if (!cost && !tokens) return null;
  return (
    <Block title={t('change.cost')} id="cost">
      <Paper withBorder p="md">
        <Facts>
          {cost && (
            <Fact label={t('change.per_request')}>
              {micros(cost.request_micros)}
              {cost.production_micros !== null && ` (${t('change.now', { value: micros(cost.production_micros) })})`}
            </Fact>
          )}
          {cost?.change_percent != null && (
            <Fact label={t('change.difference')}>{`${cost.change_percent > 0 ? '+' : ''}${cost.change_percent}%`}</Fact>
          )}
          {cost?.month_micros != null && <Fact label={t('change.per_month')}>{micros(cost.month_micros)}</Fact>}
          {tokens && <Fact label={t('change.length')}>{t('change.tokens', { prompt: tokens.prompt, answer: tokens.answer })}</Fact>}
        </Facts>
      </Paper>
      {change.requirements
        .filter((need) => need.role === 'finance')
        .map((need) => (
          <Finance key={need.reason} change={change} reason={need.reason} />
        ))}
    </Block>
  );
}

/** Cost asks for a yes of its own: what is asked, of whom, and whether it is there. */
function Finance({ change, reason }: { change: Change; reason: string }) {
  const people = useQuery(queries.people());
  const open = change.missing.some((m) => m.role === 'finance' && m.reason === reason);
  const who = (people.data?.items ?? []).filter((p) => p.roles.includes('finance') && p.name !== change.author).map((p) => p.display || p.name);
  return (
    <Alert color={open ? 'orange' : 'green'} variant="outline" mt="sm" title={t(open ? 'change.finance_open' : 'change.finance_met')}>
      <Text size="sm" className="wrap">
        <Say text={reason} /> {open && who.length > 0 && t('change.finance_who', { who: who.join(', ') })}
      </Text>
    </Alert>
  );
}

function Approvals({ change }: { change: Change }) {
  const people = useQuery(queries.people());
  const named = (name: string) => people.data?.items.find((p) => p.name === name)?.display || name;
  const role = (r: string) => t(`role.${r}`, { defaultValue: r });
  return (
    <Block title={t('change.approvals')} id="approvals">
      <Stack gap="xs">
        {change.requirements.map((need) => {
          const open = change.missing.find((m) => m.role === need.role && m.reason === need.reason);
          return (
            <Text key={need.role + need.reason} size="sm" className="wrap">
              <span aria-hidden="true">{open ? '○' : '✓'}</span>{' '}
              {t(open ? 'change.rule_open' : 'change.rule_met', { count: need.count, role: role(need.role) })}{' '}
              <Text span c="dimmed" size="sm">
                {t('change.because', { reason: need.reason })}
              </Text>
            </Text>
          );
        })}
        {change.requirements.length === 0 && <Text c="dimmed">{t('change.no_rules')}</Text>}
        {change.approvals.map((a) => {
          const stale = a.content !== change.content;
          return (
            <Paper key={`${a.by}${a.at}`} withBorder p="sm" className={stale ? 'stale' : ''}>
              <Text size="sm" className="wrap">
                <strong>{named(a.by)}</strong> ({role(a.role)}) {t(`decided.${a.decision}`, { defaultValue: a.decision })} <When at={a.at} />
                {stale && ` · ${t('change.stale')}`}
              </Text>
              {a.comment && (
                <Text size="sm" className="wrap quote">
                  {a.comment}
                </Text>
              )}
            </Paper>
          );
        })}
      </Stack>
    </Block>
  );
}

function What({ change }: { change: Change }) {
  const diff = useQuery(queries.changeDiff(change.id));
  const changed = change.differences.filter((d) => d.before?.digest !== d.after?.digest);
  const same = change.differences.filter((d) => d.before?.digest === d.after?.digest);
  const kind = (k: string) => t(`component.${k}`, { defaultValue: k });
  return (
    <Block title={t('change.what')} id="what">
      <Stack gap="sm">
        <Text size="sm" className="wrap">
          {changed
            .map((d) => `${kind(d.kind)}: ${d.before ? `${d.before.name}@${d.before.version}` : t('change.nothing')} → ${d.after ? `${d.after.name}@${d.after.version}` : t('change.nothing')}`)
            .join(' · ')}
          {changed.length > 0 && same.length > 0 && ' · '}
          {same.length > 0 && t('change.unchanged', { what: same.map((d) => kind(d.kind)).join(', ') })}
        </Text>
        <Text size="sm">
          {t('live.today')} <ReleaseLink id={change.production} /> → {t('live.new')} <ReleaseLink id={change.release} />
        </Text>
        <Load query={diff}>{(data) => <DiffView text={data.diff} named={fileName} />}</Load>
      </Stack>
    </Block>
  );
}
