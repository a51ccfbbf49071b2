// Requests as a table: each leads to its own "why".
import { Anchor, Table, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { RequestRecord } from '../api/types.ts';
import { t } from '../lib/i18n.ts';
import { When } from './basics.tsx';
import 'virtual:texts/why';

export function RequestTable({ requests, withApp = false }: { requests: RequestRecord[]; withApp?: boolean }) {
  return (
    <Table className="cards">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{t('why.request')}</Table.Th>
          {withApp && <Table.Th>{t('home.app')}</Table.Th>}
          <Table.Th>{t('why.answer')}</Table.Th>
          <Table.Th>{t('why.at')}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {requests.map((r) => (
          <Table.Tr key={r.id}>
            <Table.Td data-label={t('why.request')}>
              <Anchor renderRoot={(p) => <Link to="/requests/$id" params={{ id: r.id }} {...p} />} size="sm" className="wrap">
                {r.id}
              </Anchor>
            </Table.Td>
            {withApp && <Table.Td data-label={t('home.app')}>{r.app}</Table.Td>}
            <Table.Td data-label={t('why.answer')}>
              <Text size="sm" lineClamp={3} className="wrap">
                {r.answer ?? r.status}
              </Text>
            </Table.Td>
            <Table.Td data-label={t('why.at')}>
              <When at={r.at} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
