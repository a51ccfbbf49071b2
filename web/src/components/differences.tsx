// Two releases, component by component; what changed stands first.
import { Badge, Table, Text } from '@mantine/core';
import type { ComponentDiff } from '../api/types.ts';
import { t } from '../lib/i18n.ts';

const short = (digest?: string) => (digest ?? '').replace('sha256:', '').slice(0, 8);

export function Differences({ list, before, after }: { list: ComponentDiff[]; before?: string; after?: string }) {
  const changed = (d: ComponentDiff) => d.before?.digest !== d.after?.digest;
  const sorted = [...list].sort((a, b) => Number(changed(b)) - Number(changed(a)));
  if (list.length === 0) return <Text c="dimmed">{t('differences.none')}</Text>;
  const cell = (c: ComponentDiff['before']) => (c ? `${c.name}@${c.version} ${short(c.digest)}` : '–');
  return (
    <Table className="cards">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{t('differences.part')}</Table.Th>
          <Table.Th>{before ?? t('differences.before')}</Table.Th>
          <Table.Th>{after ?? t('differences.after')}</Table.Th>
          <Table.Th>{t('differences.title')}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {sorted.map((d) => (
          <Table.Tr key={d.kind}>
            <Table.Td data-label={t('differences.part')}>{t(`component.${d.kind}`, { defaultValue: d.kind })}</Table.Td>
            <Table.Td data-label={before ?? t('differences.before')} className="wrap">
              {cell(d.before)}
            </Table.Td>
            <Table.Td data-label={after ?? t('differences.after')} className="wrap">
              {cell(d.after)}
            </Table.Td>
            <Table.Td data-label={t('differences.title')}>
              <Badge variant="default" tt="none" className={changed(d) ? 'tone-warn' : 'tone-none'}>
                {changed(d) ? t('differences.changed') : t('differences.same')}
              </Badge>
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
