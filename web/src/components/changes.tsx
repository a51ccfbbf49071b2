// Changes as a table; on a phone as cards.
import { Anchor, Table, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { Change } from '../api/types.ts';
import { changeNumber } from '../lib/format.ts';
import { t } from '../lib/i18n.ts';
import { Say, StateBadge, When } from './basics.tsx';
import { Empty } from './load.tsx';

export function ChangeTable({ changes, withApp }: { changes: Change[]; withApp?: boolean }) {
  if (changes.length === 0) return <Empty text={t('changes.none')} />;
  return (
    <Table className="cards" verticalSpacing="sm">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{t('changes.change')}</Table.Th>
          {withApp && <Table.Th>{t('home.app')}</Table.Th>}
          <Table.Th>{t('changes.state')}</Table.Th>
          <Table.Th>{t('changes.next')}</Table.Th>
          <Table.Th>{t('changes.author')}</Table.Th>
          <Table.Th>{t('changes.moved')}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {changes.map((c) => (
          <Table.Tr key={c.id}>
            <Table.Td data-label={t('changes.change')}>
              <Anchor
                renderRoot={(p) => <Link to="/changes/$id" params={{ id: c.id.replace('ch-', '') }} {...p} />}
                fw={600}
                className="wrap"
              >
                {changeNumber(c.id)} {c.title}
              </Anchor>
            </Table.Td>
            {withApp && <Table.Td data-label={t('home.app')}>{c.app}</Table.Td>}
            <Table.Td data-label={t('changes.state')}>
              <StateBadge state={c.state} />
            </Table.Td>
            <Table.Td data-label={t('changes.next')}>
              <Text size="sm" className="wrap">
                <Say text={c.summary.text} />
              </Text>
            </Table.Td>
            <Table.Td data-label={t('changes.author')}>{c.author}</Table.Td>
            <Table.Td data-label={t('changes.moved')}>
              <When at={c.updated_at} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
