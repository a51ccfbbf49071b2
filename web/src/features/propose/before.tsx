// "Before you send": what the checks say, what it costs, who will be asked; while typing.
import { Button, Group, Loader, Stack, Text, Title } from '@mantine/core';
import type { CheckFinding } from '../../api/types.ts';
import { Say } from '../../components/basics.tsx';
import { ProblemBox } from '../../components/load.tsx';
import { money } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import { fileName } from '../../lib/files.ts';
import type { Check } from './check.ts';
import 'virtual:texts/before';

interface Props {
  check: Check;
  nothing: boolean;
  onReplace: (path: string, from: string, to: string) => void;
  onShow: (path: string) => void;
}

const RANK: Record<string, number> = { error: 0, warning: 1 };

export function Before({ check, nothing, onReplace, onShow }: Props) {
  const { answer } = check;
  const findings = [...(answer?.findings ?? [])].sort((a, b) => (RANK[a.severity] ?? 2) - (RANK[b.severity] ?? 2));
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={2} size="h4">
          {t('before.title')}
        </Title>
        {check.busy && <Loader size="xs" aria-label={t('before.busy')} />}
      </Group>
      <div aria-live="polite" role="status">
        {nothing ? (
          <Text size="sm">{t('before.nothing')}</Text>
        ) : answer ? (
          <Stack gap="xs">
            {findings.length === 0 && <Text size="sm">✓ {t('before.clean')}</Text>}
            {findings.map((f, i) => (
              <Found key={`${f.code}${f.line}${i}`} finding={f} onReplace={onReplace} onShow={onShow} />
            ))}
          </Stack>
        ) : (
          !check.error && <Text size="sm">{t('before.busy')}</Text>
        )}
      </div>
      {check.error !== null && <ProblemBox error={check.error} onRetry={check.now} />}
      {answer && <Numbers check={check} />}
      {answer && answer.who.length > 0 && (
        <div>
          <Text size="xs" c="dimmed">
            {t('before.who')}
          </Text>
          {answer.who.map((w) => (
            <Text key={w} size="sm" className="wrap">
              <Say text={w} />
            </Text>
          ))}
        </div>
      )}
      <Group>
        <Button variant="default" size="xs" onClick={check.now} disabled={nothing}>
          {t('before.check')}
        </Button>
      </Group>
    </Stack>
  );
}

function Found({ finding, onReplace, onShow }: { finding: CheckFinding } & Pick<Props, 'onReplace' | 'onShow'>) {
  const path = finding.path ?? finding.place?.file;
  const line = finding.line ?? finding.place?.line;
  const wrong = /`([^`]+)`/.exec(finding.message)?.[1];
  return (
    <div className={`finding finding-${finding.severity}`}>
      <Text size="sm" className="wrap">
        <span aria-hidden="true">{finding.severity === 'error' ? '✕' : '!'}</span>{' '}
        <strong>{t(`severity.${finding.severity}`, { defaultValue: finding.severity })}:</strong> <Say text={finding.message} />
      </Text>
      {finding.mend && (
        <Text size="sm" className="wrap">
          <Say text={finding.mend} />
        </Text>
      )}
      <Group gap="xs" mt={4}>
        {path && (
          <Button size="compact-sm" variant="default" onClick={() => onShow(path)}>
            {line ? t('before.show_line', { line }) : fileName(path)}
          </Button>
        )}
        {path && finding.replacement !== undefined && wrong && (
          <Button size="compact-sm" variant="default" onClick={() => onReplace(path, wrong, finding.replacement ?? '')}>
            {t('before.replace', { word: finding.replacement })}
          </Button>
        )}
      </Group>
    </div>
  );
}

function Numbers({ check }: { check: Check }) {
  const { tokens, cost } = check.answer ?? {};
  const pair = (now: number | null | undefined, next: number | null | undefined, show: (n: number) => string) =>
    next == null ? null : now == null ? show(next) : t('before.was', { now: show(now), next: show(next) });
  const count = (n: number) => n.toLocaleString('en');
  const rows: [string, string | null][] = [
    [t('before.length'), pair(tokens?.now, tokens?.new, count)],
    [t('before.per_request'), pair(cost?.per_request.now, cost?.per_request.new, money)],
    [t('before.per_month'), pair(cost?.per_month.now, cost?.per_month.new, money)],
  ];
  return (
    <>
      <dl className="numbers">
      {rows.map(
        ([label, value]) =>
          value && (
            <div key={label}>
              <Text component="dt" size="xs" c="dimmed">
                {label}
              </Text>
              <Text component="dd" size="sm" m={0}>
                {value}
              </Text>
            </div>
          ),
      )}
      </dl>
      {cost?.how && cost.per_request.new !== null && (
        <Text size="xs" c="dimmed" className="wrap">
          <Say text={cost.how} />
        </Text>
      )}
    </>
  );
}
