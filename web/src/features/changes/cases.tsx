// The cases behind the numbers: what got worse first, by reason; today's answer beside the new one.
import { Button, Group, Paper, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams, useSearch } from '@tanstack/react-router';
import { post } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { Change, CaseFilter, EvalCase, EvalReport } from '../../api/types.ts';
import { ActionButton } from '../../components/act.tsx';
import { Say } from '../../components/basics.tsx';
import { Load } from '../../components/load.tsx';
import { figure } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import { hasRole, useSession } from '../../lib/session.tsx';
import { wordDiff } from '../../lib/words.ts';
import 'virtual:texts/evals';

const FILTERS: CaseFilter[] = ['worse', 'failed', 'different', 'all'];
const isFilter = (word: string | undefined): word is CaseFilter => FILTERS.includes(word as CaseFilter);
/** So many of the cases that got worse or failed are open from the start. */
const OPEN = 2;

/** By the gravest reason, in the order in which they come. */
export function byReason(cases: EvalCase[]): [string, EvalCase[]][] {
  const groups = new Map<string, EvalCase[]>();
  for (const one of cases) {
    const kind = one.reasons[0]?.kind ?? '';
    groups.set(kind, [...(groups.get(kind) ?? []), one]);
  }
  return [...groups];
}

export function Cases({ change, report }: { change: Change; report: EvalReport }) {
  const { id } = useParams({ from: '/changes/$id' });
  const search = useSearch({ from: '/changes/$id' });
  const first = useQuery(queries.evalCases(id, 'worse'));
  const counts = first.data?.counts;
  // Without anything worse, what failed is what people come for.
  const filter: CaseFilter = isFilter(search.cases) ? search.cases : counts && counts.worse === 0 && counts.failed > 0 ? 'failed' : 'worse';
  const page = useQuery({ ...queries.evalCases(id, filter, search.from), placeholderData: keepPreviousData });
  const grouped = filter === 'worse' || filter === 'failed';
  const of = (reason: string) =>
    filter === 'worse' ? report.suites.flatMap((s) => s.worse ?? []).filter((w) => w.reason === reason).reduce((n, w) => n + w.count, 0) : 0;
  return (
    <Load query={page}>
      {(data) =>
        data && (
          <Stack gap="sm">
            <Group gap="xs" role="group" aria-label={t('evals.show')}>
              {FILTERS.map((f) => (
                <Button
                  key={f}
                  size="xs"
                  variant={f === filter ? 'filled' : 'default'}
                  renderRoot={(p) => (
                    <Link to="/changes/$id" params={{ id }} search={{ cases: f }} resetScroll={false} aria-current={f === filter || undefined} {...p} />
                  )}
                >
                  {t(`evals.filter_${f}`, { n: data.counts[f] })}
                </Button>
              ))}
            </Group>
            {data.items.length === 0 && <Text size="sm">{t(`evals.none_${filter}`)}</Text>}
            {grouped
              ? byReason(data.items).map(([reason, list]) => (
                  <section key={reason} aria-label={t(`evals.reason_${reason}`, { defaultValue: reason })}>
                    <Title order={3} size="h6" mb={6}>
                      {t(`evals.reason_${reason}`, { defaultValue: reason })}
                      {of(reason) > 0 && ` (${of(reason)})`}
                    </Title>
                    <Stack gap={6}>
                      {list.map((one) => (
                        <Case key={one.suite + one.case} change={change} one={one} open={data.items.indexOf(one) < OPEN && !search.from} />
                      ))}
                    </Stack>
                  </section>
                ))
              : data.items.map((one) => <Case key={one.suite + one.case} change={change} one={one} />)}
            {(data.next || search.from) && (
              <Group>
                {search.from && (
                  <Button size="xs" variant="default" renderRoot={(p) => <Link to="/changes/$id" params={{ id }} search={{ cases: filter }} resetScroll={false} {...p} />}>
                    {t('evals.first')}
                  </Button>
                )}
                {data.next && (
                  <Button
                    size="xs"
                    variant="default"
                    renderRoot={(p) => <Link to="/changes/$id" params={{ id }} search={{ cases: filter, from: data.next }} resetScroll={false} {...p} />}
                  >
                    {t('evals.next')}
                  </Button>
                )}
              </Group>
            )}
            {change.state === 'needs_fixes' && data.counts.failed > 0 && (
              <Text size="sm" c="dimmed">
                {t('evals.fix')}
              </Text>
            )}
          </Stack>
        )
      }
    </Load>
  );
}

function Case({ change, one, open }: { change: Change; one: EvalCase; open?: boolean }) {
  return (
    <Paper withBorder p="xs" className="case">
      <details open={open}>
        <summary>
          <Text span size="sm" className="wrap">
            <strong>{one.case}</strong>
            {one.reasons[0] ? (
              <>
                {': '}
                <Say text={one.reasons[0].what} />
              </>
            ) : (
              ` ${one.different ? t('evals.is_different') : t('evals.is_same')}`
            )}
          </Text>
        </summary>
        <Stack gap="sm" mt="xs">
          <Words label={t('evals.input')} text={readable(one.input)} />
          {one.expected?.map((text) => <Words key={text} label={t('evals.expected')} text={text} />)}
          <Answers one={one} />
          {one.reasons.length > 0 && (
            <div>
              <Text size="xs" c="dimmed">
                {t('evals.why')}
              </Text>
              <ul className="plain-list">
                {one.reasons.map((r) => (
                  <li key={r.kind + r.what}>
                    <Text size="sm" className="wrap">
                      {t(`evals.reason_${r.kind}`, { defaultValue: r.kind })}: <Say text={r.what} />
                    </Text>
                  </li>
                ))}
              </ul>
            </div>
          )}
          {one.worse && <NotWorse change={change} one={one} />}
          {one.scores && one.scores.length > 0 && (
            <Text size="sm" className="wrap">
              {one.scores
                .map((s) => t('evals.score', { metric: s.metric, now: figure(s.today ?? null), next: figure(s.new ?? null) }))
                .join(' · ')}
            </Text>
          )}
        </Stack>
      </details>
    </Paper>
  );
}

/** Who reads the answers may say that a check is wrong about a case; its author may not. */
function NotWorse({ change, one }: { change: Change; one: EvalCase }) {
  const session = useSession();
  const client = useQueryClient();
  const marks = useQuery(queries.marks(change.id));
  const said = marks.data?.items.find((m) => m.suite === one.suite && m.case === one.case && m.mark === 'not_worse');
  if (said) {
    return (
      <Text size="sm" className="wrap">
        {t('evals.marked', { who: said.by })} “{said.reason}”
      </Text>
    );
  }
  const own = [change.author, ...change.contributors].includes(session.person.id);
  if (!marks.data || !hasRole(session, 'editor', 'approver', 'finance', 'operator', 'admin') || hasRole(session, 'agent')) return null;
  return (
    <ActionButton
      action={{ kind: 'not_worse', enabled: !own, why_not: t('evals.mark_own'), consequence: t('evals.mark_what') }}
      ask={{ label: t('evals.mark'), busy: t('act.working'), size: 'xs', title: `${t('evals.mark')}: ${one.case}` }}
      run={async (reason) => {
        await post(`changes/${change.id}/evals/cases/mark`, { suite: one.suite, case: one.case, mark: 'not_worse', reason });
        await client.invalidateQueries({ queryKey: ['change', change.id, 'marks'] });
      }}
    />
  );
}

/** Values as they were written, not as JSON writes them; what is no JSON stays as it is. */
export function readable(text: string): string {
  return text
    .split('\n')
    .map((line) => {
      const [, name, value] = /^(\w+): (".*")$/.exec(line) ?? [];
      if (value === undefined) return line;
      try {
        const said = String(JSON.parse(value));
        return said.includes('\n') ? `${name}:\n${said}` : `${name}: ${said}`;
      } catch {
        return line;
      }
    })
    .join('\n');
}

/** Input and expectation: as much as helps, all of it a click away. */
function Words({ label, text }: { label: string; text: string }) {
  return (
    <div>
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <div className="answer-text" tabIndex={0} role="group" aria-label={label}>
        {text}
      </div>
    </div>
  );
}

/** Both answers; words that are only in one of them are marked there. */
function Answers({ one }: { one: EvalCase }) {
  const pieces = one.today !== undefined && one.new !== undefined ? wordDiff(one.today, one.new) : null;
  const side = (label: string, text: string | undefined, mine: 'del' | 'add') => (
    <div>
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <div className="answer-text" role="group" aria-label={label}>
        {text === undefined ? (
          <Text size="sm" c="dimmed">
            {one.texts ? t('evals.no_answer') : t('evals.not_kept')}
          </Text>
        ) : text === '' ? (
          <Text size="sm" c="dimmed">
            {t('evals.empty')}
          </Text>
        ) : pieces ? (
          pieces
            .filter((p) => p.kind === 'same' || p.kind === mine)
            .map((p, i) => {
              // Words may repeat; their place is their identity.
              const key = `${i}-${p.kind}`;
              if (p.kind === 'same') return <span key={key}>{p.text}</span>;
              return mine === 'del' ? (
                <del key={key} className="word-del">
                  {p.text}
                </del>
              ) : (
                <ins key={key} className="word-add">
                  {p.text}
                </ins>
              );
            })
        ) : (
          text
        )}
      </div>
    </div>
  );
  return (
    <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="sm">
      {side(t('evals.answer_today'), one.today, 'del')}
      {side(t('evals.answer_new'), one.new, 'add')}
    </SimpleGrid>
  );
}
