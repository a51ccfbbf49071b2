// The team's rules about changes: what each does, whether the team's own examples hold, and what
// the rules say of the newest changes. They are changed like everything else: by a change.
import { Anchor, Alert, Paper, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import * as queries from '../../api/queries.ts';
import type { Policies as Answer } from '../../api/types.ts';
import { Say } from '../../components/basics.tsx';
import { Block } from '../../components/block.tsx';
import { Empty, Load } from '../../components/load.tsx';
import { Rows } from '../../components/rows.tsx';
import { changeNumber } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import 'virtual:texts/policies';

export function Policies() {
  const policies = useQuery(queries.policies());
  return <Load query={policies}>{(data) => <All data={data} />}</Load>;
}

function Changes({ ids }: { ids: string[] }) {
  if (ids.length === 0) return <>{t('policies.none_yet')}</>;
  return ids.map((id, i) => (
    <span key={id}>
      {i > 0 && ', '}
      <Anchor renderRoot={(p) => <Link to="/changes/$id" params={{ id: id.replace('ch-', '') }} {...p} />} inherit>
        {changeNumber(id)}
      </Anchor>
    </span>
  ));
}

/** `approver:2` as people say it. */
function asks(list: string[]): string {
  return list
    .map((one) => one.split(':'))
    .map(([role = '', n = '1']) => t('policies.asked', { count: Number(n), role: t(`role.${role}`, { defaultValue: role }) }))
    .join(', ');
}

function All({ data }: { data: Answer }) {
  const held = data.examples.filter((e) => e.passed).length;
  const effect = (rule: Answer['rules'][number]) =>
    rule.effect === 'ask' ? t('policies.effect_ask', { who: asks(rule.asks) }) : t(`policies.effect_${rule.effect}`);
  if (data.files.length === 0) return <Empty text={t('policies.empty')} />;
  return (
    <Stack gap="xl">
      <Paper withBorder p="md" className="next-box">
        <Text size="sm">{t('policies.count', { count: data.rules.length })}</Text>
        <Text size="sm">{t('policies.held', { n: held, count: data.examples.length })}</Text>
        <Text size="sm">
          {t('policies.would', { n: data.would_stop.length, count: data.looked_at })}{' '}
          {data.would_stop.length > 0 && <Changes ids={data.would_stop} />}
        </Text>
        <Text size="sm" c="dimmed" mt="xs">
          {t('policies.how')}
        </Text>
      </Paper>
      {data.findings.map((f) => (
        <Alert key={f.code + f.message} color="red" variant="outline">
          <Say text={f.message} />
        </Alert>
      ))}
      <Block title={t('policies.rules')}>
        <Rows
          items={data.rules}
          id={(r) => r.id}
          columns={[
            [t('policies.rule'), (r) => r.id],
            [t('policies.does'), (r) => effect(r)],
            [t('policies.because'), (r) => <Say text={r.because} />],
            [t('policies.satisfy'), (r) => (r.satisfy ? <Say text={r.satisfy} /> : '–')],
            [t('policies.spoke'), (r) => <Changes ids={r.speaks_of} />],
          ]}
        />
      </Block>
      {data.examples.length > 0 && (
        <Block title={t('policies.examples')}>
          <Rows
            items={data.examples}
            id={(e) => e.path + e.name}
            columns={[
              [t('policies.example'), (e) => e.name],
              [
                t('policies.result'),
                (e) => (
                  <span className={e.passed ? 'mark-pass' : 'mark-fail'}>
                    <span aria-hidden="true">{e.passed ? '✓' : '✕'}</span> {e.passed ? t('policies.holds') : e.differences.join('; ')}
                  </span>
                ),
              ],
            ]}
          />
        </Block>
      )}
      <Block title={t('policies.files')}>
        {data.files.map((f) => (
          <details key={f.path}>
            <summary>{f.path}</summary>
            <pre className="raw" tabIndex={0} aria-label={f.path}>
              {f.text}
            </pre>
          </details>
        ))}
      </Block>
    </Stack>
  );
}
