// Releases: every version that was ever composed, newest first.
import { Anchor, Badge, Group, Select, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import * as queries from '../../api/queries.ts';
import type { Release } from '../../api/types.ts';
import { PageTitle, ReleaseLink, When } from '../../components/basics.tsx';
import { Empty, Load } from '../../components/load.tsx';
import { More } from '../../components/more.tsx';
import { Rows } from '../../components/rows.tsx';
import { changeNumber } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import 'virtual:texts/releases';

export function ReleaseBadge({ release }: { release: Release }) {
  const [tone, word] = release.live ? ['good', t('releases.live')] : release.denied ? ['bad', t('releases.denied')] : ['none', t('releases.kept')];
  return (
    <Badge variant="default" tt="none" className={`tone-${tone}`}>
      {word}
    </Badge>
  );
}

export function Releases() {
  const search = useSearch({ from: '/releases' });
  const navigate = useNavigate({ from: '/releases' });
  const releases = useQuery(queries.releases(search));
  const apps = useQuery(queries.apps());
  return (
    <>
      <PageTitle title={t('nav.releases')} />
      <Group mb="md">
        <Select
          label={t('home.app')}
          placeholder={t('common.all')}
          data={apps.data?.items.map((a) => a.name) ?? []}
          value={search.app ?? null}
          onChange={(app) => void navigate({ search: { app: app ?? undefined } })}
          clearable
          clearButtonProps={{ 'aria-label': t('common.clear') }}
        />
      </Group>
      <Load query={releases}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty text={t('releases.none')} />
          ) : (
            <>
              <Rows
                items={page.items}
                id={(r) => r.id}
                columns={[
                  [t('releases.release'), (r) => <ReleaseLink id={r.id} />],
                  [t('home.app'), (r) => r.app],
                  [
                    t('releases.contents'),
                    (r) => (
                      <Text size="sm" className="wrap">
                        {Object.values(r.manifest.components)
                          .map((c) => `${c.name}@${c.version}`)
                          .join(' · ')}
                      </Text>
                    ),
                  ],
                  [t('releases.state'), (r) => <ReleaseBadge release={r} />],
                  [
                    t('releases.from'),
                    (r) => (
                      <>
                        {r.change ? (
                          <Anchor renderRoot={(p) => <Link to="/changes/$id" params={{ id: r.change?.replace('ch-', '') ?? '' }} {...p} />} inherit>
                            {changeNumber(r.change)}
                          </Anchor>
                        ) : (
                          t('releases.first')
                        )}
                      </>
                    ),
                  ],
                  [t('releases.made'), (r) => <When at={r.created_at} />],
                ]}
              />
              <More to="/releases" search={search} next={page.next} />
            </>
          )
        }
      </Load>
    </>
  );
}
