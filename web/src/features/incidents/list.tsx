// Incidents: what went wrong, and what was done about it.
import { Anchor, Badge, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useSearch } from '@tanstack/react-router';
import * as queries from '../../api/queries.ts';
import { PageTitle, Say, When } from '../../components/basics.tsx';
import { Empty, Load } from '../../components/load.tsx';
import { More } from '../../components/more.tsx';
import { Rows } from '../../components/rows.tsx';
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
              <Rows
                items={page.items}
                id={(i) => i.id}
                columns={[
                  [
                    t('incidents.incident'),
                    (i) => (
                      <div>
                        <Anchor renderRoot={(p) => <Link to="/incidents/$id" params={{ id: i.id }} {...p} />} fw={600}>
                          {t(`incident.${i.kind}`, { defaultValue: i.kind })}
                        </Anchor>
                        <Text size="xs" c="dimmed">
                          {i.id} · {i.app}
                        </Text>
                      </div>
                    ),
                  ],
                  [
                    t('incidents.what'),
                    (i) => (
                      <Text size="sm" className="wrap" lineClamp={4}>
                        <Say text={i.what.text} />
                      </Text>
                    ),
                  ],
                  [
                    t('incidents.state'),
                    (i) => (
                      <Badge variant="default" tt="none" className={i.closed_at ? 'tone-good' : 'tone-warn'}>
                        {i.closed_at ? t('incidents.closed') : t('incidents.open')}
                      </Badge>
                    ),
                  ],
                  [t('incidents.by'), (i) => i.opened_by ?? t('actor.controller')],
                  [t('incidents.opened'), (i) => <When at={i.opened_at} />],
                ]}
              />
              <More to="/incidents" search={search} next={page.next} />
            </>
          )
        }
      </Load>
    </>
  );
}
