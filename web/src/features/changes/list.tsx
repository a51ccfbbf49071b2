// Changes: what was proposed, and what each waits for. The address is the view.
import { Group, Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import * as queries from '../../api/queries.ts';
import { PageTitle } from '../../components/basics.tsx';
import { ChangeTable } from '../../components/changes.tsx';
import { Load } from '../../components/load.tsx';
import { More } from '../../components/more.tsx';
import { t } from '../../lib/i18n.ts';

const STATES = [
  'checking',
  'needs_fixes',
  'needs_approval',
  'merging',
  'rolling_out',
  'live',
  'rolled_back',
  'rejected',
  'withdrawn',
];

export function Changes() {
  const search = useSearch({ from: '/changes' });
  const navigate = useNavigate({ from: '/changes' });
  const changes = useQuery(queries.changes(search));
  const apps = useQuery(queries.apps());
  return (
    <>
      <PageTitle title={t('nav.changes')} />
      <Group mb="md" align="flex-end">
        <Select
          label={t('home.app')}
          placeholder={t('common.all')}
          data={apps.data?.items.map((a) => a.name) ?? []}
          value={search.app ?? null}
          onChange={(app) => void navigate({ search: { ...search, app: app ?? undefined, cursor: undefined } })}
          clearable
          clearButtonProps={{ 'aria-label': t('common.clear') }}
        />
        <Select
          label={t('changes.state')}
          placeholder={t('common.all')}
          data={STATES.map((value) => ({ value, label: t(`state.${value}`) }))}
          value={search.state ?? null}
          onChange={(state) => void navigate({ search: { ...search, state: state ?? undefined, cursor: undefined } })}
          clearable
          clearButtonProps={{ 'aria-label': t('common.clear') }}
        />
      </Group>
      <Load query={changes}>
        {(page) => (
          <>
            <ChangeTable changes={page.items} withApp />
            <More to="/changes" search={search} next={page.next} />
          </>
        )}
      </Load>
    </>
  );
}
