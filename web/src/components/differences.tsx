// Two releases, component by component; what changed stands first.
import { Badge, Text } from '@mantine/core';
import type { ComponentDiff } from '../api/types.ts';
import { t } from '../lib/i18n.ts';
import { Rows } from './rows.tsx';

const short = (digest?: string) => (digest ?? '').replace('sha256:', '').slice(0, 8);

export function Differences({ list, before, after }: { list: ComponentDiff[]; before?: string; after?: string }) {
  const changed = (d: ComponentDiff) => d.before?.digest !== d.after?.digest;
  const sorted = [...list].sort((a, b) => Number(changed(b)) - Number(changed(a)));
  if (list.length === 0) return <Text c="dimmed">{t('differences.none')}</Text>;
  const cell = (c: ComponentDiff['before']) => (c ? `${c.name}@${c.version} ${short(c.digest)}` : '–');
  return (
    <Rows
      items={sorted}
      id={(d) => d.kind}
      columns={[
        [t('differences.part'), (d) => t(`component.${d.kind}`, { defaultValue: d.kind })],
        [before ?? t('differences.before'), (d) => cell(d.before)],
        [after ?? t('differences.after'), (d) => cell(d.after)],
        [
          t('differences.title'),
          (d) => (
            <Badge variant="default" tt="none" className={changed(d) ? 'tone-warn' : 'tone-none'}>
              {changed(d) ? t('differences.changed') : t('differences.same')}
            </Badge>
          ),
        ],
      ]}
    />
  );
}
