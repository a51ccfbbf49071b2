// What the answers to test cases were like: numbers beside today's, what they prove and how
// surely, and the cases themselves.
import { Paper, Stack, Table, Text } from '@mantine/core';
import type { EvalReport, Interval, SuiteReport } from '../../api/types.ts';
import { Say } from '../../components/basics.tsx';
import { figure } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import { proofOf, signed } from '../../lib/proof.ts';
import 'virtual:texts/evals';

const MARK: Record<string, string> = { passed: '✓', warned: '!', failed: '✕' };

export function Evaluation({ report }: { report: EvalReport }) {
  return (
    <Stack gap="sm">
      {report.suites.map((suite) => (
        <Suite key={suite.suite} suite={suite} />
      ))}
    </Stack>
  );
}

function Suite({ suite }: { suite: SuiteReport }) {
  const sure = { sure: figure(suite.confidence, 'share') };
  return (
    <Paper withBorder p="sm" component="section" aria-label={suite.title} className={`check-${suite.outcome}`}>
      <Text size="sm" className="wrap">
        <span aria-hidden="true" className="check-mark">
          {MARK[suite.outcome] ?? '…'}
        </span>{' '}
        <strong>{suite.title}</strong>
        <Text span size="sm" c="dimmed">
          {' '}
          <Say text={suite.summary} />
        </Text>
      </Text>
      <Table className="cards" mt="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('evals.measure')}</Table.Th>
            <Table.Th>{t('evals.today')}</Table.Th>
            <Table.Th>{t('evals.new')}</Table.Th>
            <Table.Th>{t('evals.difference')}</Table.Th>
            <Table.Th>{t('evals.proves', sure)}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          <Measure
            name={t('evals.kept')}
            unit="share"
            cases={suite.pass.asked}
            now={suite.pass.production}
            next={suite.pass.share}
            difference={suite.pass.difference}
            margin={suite.pass.not_worse_by}
            more={
              suite.pass.zero_bound === undefined
                ? undefined
                : t('evals.zero', { n: suite.pass.asked, share: figure(suite.pass.zero_bound, 'share') })
            }
            sure={sure.sure}
          />
          {suite.scores?.map((score) => (
            <Measure
              key={score.metric}
              name={score.metric}
              unit="score"
              cases={score.cases}
              now={score.production}
              next={score.candidate}
              difference={score.difference}
              margin={score.not_worse_by}
              more={score.held ? undefined : t('evals.not_held')}
              sure={sure.sure}
            />
          ))}
        </Table.Tbody>
      </Table>
      <Notes suite={suite} />
    </Paper>
  );
}

interface MeasureProps {
  name: string;
  unit: 'share' | 'score';
  cases: number;
  now?: Interval;
  next: Interval;
  difference?: Interval;
  margin?: number;
  more?: string;
  sure: string;
}

function Measure({ name, unit, cases, now, next, difference, margin, more, sure }: MeasureProps) {
  const show = (value: number) => figure(value, unit);
  const apart = (value: number) => (unit === 'share' ? t('evals.points', { n: signed(value, true) }) : signed(value));
  return (
    <Table.Tr>
      <Table.Td data-label={t('evals.measure')}>
        {name}
        <Text size="xs" c="dimmed">
          {t('evals.cases', { count: cases })}
        </Text>
      </Table.Td>
      <Table.Td data-label={t('evals.today')}>{now ? show(now.value) : '–'}</Table.Td>
      <Table.Td data-label={t('evals.new')}>{show(next.value)}</Table.Td>
      <Table.Td data-label={t('evals.difference')}>
        {difference ? apart(difference.value) : now ? apart(next.value - now.value) : '–'}
        {difference && (
          <Text size="xs" c="dimmed">
            {t('evals.between', { low: apart(difference.low), high: apart(difference.high) })}
          </Text>
        )}
      </Table.Td>
      <Table.Td data-label={t('evals.proves', { sure })}>
        <Text size="sm" className="wrap">
          {difference
            ? t(`evals.proof_${proofOf(difference, margin)}`, { margin: margin === undefined ? '0' : show(margin) })
            : t('evals.range', { low: show(next.low), high: show(next.high) })}
          {more && ` ${more}`}
        </Text>
      </Table.Td>
    </Table.Tr>
  );
}

/** What else to know before the numbers are believed. */
function Notes({ suite }: { suite: SuiteReport }) {
  const notes = [
    ...(suite.not_reached ? [t('evals.not_reached', { count: suite.not_reached })] : []),
    ...(suite.flickering ? [t('evals.flicker', { count: suite.flickering })] : []),
    ...(suite.judges ?? []).map((j) =>
      t(j.calibrated ? 'evals.judge_ok' : 'evals.judge_unsure', { judge: `${j.judge}@${j.version}`, error: j.error ?? '' }),
    ),
    ...(suite.judges ?? []).filter((j) => j.rewarded_junk.length > 0).map((j) => t('evals.junk', { judge: j.judge, what: j.rewarded_junk.join(', ') })),
  ];
  return notes.map((note) => (
    <Text key={note} size="sm" mt={4} className="wrap">
      {note}
    </Text>
  ));
}
