// Incidents: what went wrong, and what was done about it.
import { Anchor, Badge, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useSearch } from '@tanstack/react-router';
import * as queries from '../../api/queries.ts';
import { PageTitle, Say, When } from '../../components/basics.tsx';
import { Empty, Load } from '../../components/load.tsx';
import { More } from '../../components/more.tsx';
import { t } from '../../lib/i18n.ts';
import 'virtual:texts/incidents';

export function Incidents() {
  const search = useSearch({ from: '/incidents' });
  const incidents = useQuery(queries.incidents(search));
  return (
    <>
      <PageTitle title={t('nav.incidents')} />
      <Load query={incidents}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty text={t('incidents.none')} />
          ) : (
            <>
              <Table className="cards" verticalSpacing="sm">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>{t('incidents.incident')}</Table.Th>
                    <Table.Th>{t('incidents.what')}</Table.Th>
                    <Table.Th>{t('incidents.state')}</Table.Th>
                    <Table.Th>{t('incidents.by')}</Table.Th>
                    <Table.Th>{t('incidents.opened')}</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {page.items.map((i) => (
                    <Table.Tr key={i.id}>
                      <Table.Td data-label={t('incidents.incident')}>
                        <div>
                          <Anchor renderRoot={(p) => <Link to="/incidents/$id" params={{ id: i.id }} {...p} />} fw={600}>
                            {t(`incident.${i.kind}`, { defaultValue: i.kind })}
                          </Anchor>
                          <Text size="xs" c="dimmed">
                            {i.id} · {i.app}
                          </Text>
                        </div>
                      </Table.Td>
                      <Table.Td data-label={t('incidents.what')}>
                        <Text size="sm" className="wrap" lineClamp={4}>
                          <Say text={i.what.text} />
                        </Text>
                      </Table.Td>
                      <Table.Td data-label={t('incidents.state')}>
                        <Badge variant="default" tt="none" className={i.closed_at ? 'tone-good' : 'tone-warn'}>
                          {i.closed_at ? t('incidents.closed') : t('incidents.open')}
                        </Badge>
                      </Table.Td>
                      <Table.Td data-label={t('incidents.by')}>{i.opened_by ?? t('actor.controller')}</Table.Td>
                      <Table.Td data-label={t('incidents.opened')}>
                        <When at={i.opened_at} />
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
              <More to="/incidents" search={search} next={page.next} />
            </>
          )
        }
      </Load>
    </>
  );
}
