// The checks as a list: what needs attention is open, the rest can be opened.
import { Paper, Stack, Text } from '@mantine/core';
import type { Finding, Gate, GateReport } from '../../api/types.ts';
import { Say } from '../../components/basics.tsx';
import { t } from '../../lib/i18n.ts';

const MARK: Record<string, string> = { passed: '✓', warned: '!', failed: '✕', skipped: '–' };
const GROUPS: [string, (gate: Gate) => boolean][] = [
  ['answers', (g) => g.gate.startsWith('eval/') || g.gate === 'golden' || g.gate === 'experiments'],
  ['cost', (g) => ['cost', 'token-fit', 'signals'].includes(g.gate)],
  ['policy', (g) => ['policy', 'scope', 'not-denied', 'model-entry', 'fallback', 'contract', 'feature-parity', 'version-bump'].includes(g.gate)],
  ['text', () => true],
];

/** Each check in the first group that takes it. */
export function grouped(gates: Gate[]): [string, Gate[]][] {
  const of = (gate: Gate) => GROUPS.find(([, takes]) => takes(gate))?.[0] ?? 'text';
  return ['text', 'policy', 'answers', 'cost']
    .map((name): [string, Gate[]] => [name, gates.filter((g) => of(g) === name)])
    .filter(([, list]) => list.length > 0);
}

export function Checks({ report }: { report: GateReport }) {
  const count = (outcome: string) => report.gates.filter((g) => g.outcome === outcome).length;
  const parts = (['failed', 'warned', 'passed', 'skipped'] as const)
    .filter((o) => count(o) > 0)
    .map((o) => t(`checks.count_${o}`, { count: count(o) }));
  return (
    <Stack gap="sm">
      <Text size="sm" fw={600}>
        {parts.join(' · ')}
      </Text>
      {grouped(report.gates).map(([name, gates]) => (
        <GateGroup key={name} name={name} gates={gates} />
      ))}
    </Stack>
  );
}

/** What is in order is one line; what is not stands open. */
function GateGroup({ name, gates }: { name: string; gates: Gate[] }) {
  const ran = gates.filter((g) => g.outcome !== 'skipped');
  const skipped = gates.filter((g) => g.outcome === 'skipped');
  const wrong = ran.some((g) => g.outcome !== 'passed');
  const list = (
    <>
      <ul className="plain-list">
        {ran.map((gate) => (
          <Row key={gate.gate} gate={gate} />
        ))}
      </ul>
      <NotNeeded gates={skipped} />
    </>
  );
  const title = <strong>{t(`checks.${name}`)}</strong>;
  return (
    <Paper withBorder p="sm" component="section" aria-label={t(`checks.${name}`)}>
      {wrong ? (
        <>
          <Text size="sm" mb={4}>
            {title}
          </Text>
          {list}
        </>
      ) : (
        <details className="check-passed">
          <summary>
            <Text span size="sm">
              <span aria-hidden="true" className="check-mark">
                {MARK.passed}
              </span>{' '}
              {title} · {ran.length > 0 ? t('checks.count_passed', { count: ran.length }) : t('checks.count_skipped', { count: skipped.length })}
            </Text>
          </summary>
          {list}
        </details>
      )}
    </Paper>
  );
}

/** Checks that had nothing to look at: there, but out of the way. */
function NotNeeded({ gates }: { gates: Gate[] }) {
  if (gates.length === 0) return null;
  return (
    <details className="technical">
      <summary>{t('checks.count_skipped', { count: gates.length })}</summary>
      <ul className="plain-list">
        {gates.map((gate) => (
          <Row key={gate.gate} gate={gate} />
        ))}
      </ul>
    </details>
  );
}

function Row({ gate }: { gate: Gate }) {
  const words = t(`checks.${gate.outcome}`, { defaultValue: gate.outcome });
  return (
    <li className={`check check-${gate.outcome}`}>
      <span aria-hidden="true" className="check-mark">
        {MARK[gate.outcome] ?? '…'}
      </span>
      <div>
        <Text size="sm" className="wrap">
          <span className="visually-hidden">{words}: </span>
          <strong>{gate.title}</strong>
          <Text span size="sm" c="dimmed">
            {' '}
            <Say text={gate.summary} />
          </Text>
        </Text>
        {gate.findings.map((finding) => (
          <FindingBox key={finding.code + finding.message} finding={finding} />
        ))}
      </div>
    </li>
  );
}

function FindingBox({ finding }: { finding: Finding }) {
  return (
    <div className={`finding finding-${finding.severity}`}>
      <Text size="sm" className="wrap">
        <strong>{t(`severity.${finding.severity}`, { defaultValue: finding.severity })}:</strong> <Say text={finding.message} />
      </Text>
      {finding.explanation && (
        <details>
          <summary>{t('checks.why')}</summary>
          <Text size="sm" className="wrap">
            <Say text={finding.explanation} />
          </Text>
        </details>
      )}
      {finding.mend && (
        <Text size="sm" className="wrap">
          <strong>{t('checks.mend')}</strong> <Say text={finding.mend} />
        </Text>
      )}
    </div>
  );
}
