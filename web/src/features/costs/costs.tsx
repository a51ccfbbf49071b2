// What answers cost this month and will have cost by its end; what each release changed.
import { Anchor, Group, Paper, Select, Stack, Text } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import * as queries from '../../api/queries.ts';
import type { Costs as Answer } from '../../api/types.ts';
import { PageTitle, ReleaseLink, Say, When } from '../../components/basics.tsx';
import { Block } from '../../components/block.tsx';
import { Bars } from '../../components/bars.tsx';
import { Empty, Load } from '../../components/load.tsx';
import { Rows } from '../../components/rows.tsx';
import { changeNumber, figure, money } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import 'virtual:texts/costs';

/** This month and the eleven before it, as the server names them. */
function months(now: Date): string[] {
  return Array.from({ length: 12 }, (_, i) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - i, 1)).toISOString().slice(0, 7));
}

export function Costs() {
  const search = useSearch({ from: '/costs' });
  const navigate = useNavigate({ from: '/costs' });
  const apps = useQuery(queries.apps());
  const costs = useQuery({ ...queries.costs(search), placeholderData: keepPreviousData });
  const clear = { clearable: true, clearButtonProps: { 'aria-label': t('common.clear') } };
  return (
    <>
      <PageTitle title={t('nav.costs')} />
      <Group mb="md">
        <Select
          label={t('home.app')}
          {...clear}
          placeholder={t('common.all')}
          data={apps.data?.items.map((a) => a.name) ?? []}
          value={search.app ?? null}
          onChange={(app) => void navigate({ search: { ...search, app: app ?? undefined } })}
        />
        <Select
          label={t('costs.month')}
          {...clear}
          placeholder={t('costs.this_month')}
          data={months(new Date())}
          value={search.month ?? null}
          onChange={(month) => void navigate({ search: { ...search, month: month ?? undefined } })}
        />
      </Group>
      <Load query={costs}>{(data) => <Month costs={data} />}</Load>
    </>
  );
}

function Month({ costs }: { costs: Answer }) {
  const named = (title: string, list: Answer['by_app']) =>
    list.length > 0 && (
      <Block title={title} key={title}>
        <Rows
          items={list}
          id={(c) => c.key}
          columns={[
            [t('costs.what'), (c) => c.key],
            [t('costs.cost'), (c) => money(c.usd)],
            [t('costs.answers'), (c) => c.requests.toLocaleString('en')],
            [t('costs.each'), (c) => (c.requests > 0 ? money(c.usd / c.requests) : '–')],
          ]}
        />
      </Block>
    );
  return (
    <Stack gap="xl">
      <Paper withBorder p="md" className="next-box">
        <Text fw={700} className="wrap">
          <Say text={costs.summary.text} />
        </Text>
        <Text size="sm" mt={4} className="wrap">
          <Say text={costs.forecast.text.text} />
        </Text>
        {costs.unpriced.map((u) => (
          <Text key={u.app + u.model} size="sm" mt={4} className="wrap">
            ! {t('costs.unpriced', { model: u.model, app: u.app, count: u.requests })}
          </Text>
        ))}
      </Paper>
      {costs.total.requests === 0 && <Empty text={t('costs.none')} />}
      {costs.by_day.length > 0 && (
        <Block title={t('costs.by_day')}>
          <Bars points={costs.by_day.map((d) => ({ label: d.day, value: d.usd + d.shadow_usd + d.preview_usd }))} show={money} what={t('costs.cost')} when={t('costs.day')} />
        </Block>
      )}
      {named(t('costs.by_app'), costs.by_app)}
      {named(t('costs.by_model'), costs.by_model)}
      {named(t('costs.by_provider'), costs.by_provider)}
      {costs.beside.length > 0 && (
        <Block title={t('costs.beside')}>
          <Rows
            items={costs.beside}
            id={(b) => b.kind}
            columns={[
              [t('costs.what'), (b) => t(`costs.kind_${b.kind}`)],
              [t('costs.cost'), (b) => money(b.usd)],
              [t('costs.answers'), (b) => b.requests.toLocaleString('en')],
              [t('costs.how'), (b) => <Say text={b.how} />],
            ]}
          />
        </Block>
      )}
      {costs.releases.length > 0 && (
        <Block title={t('costs.releases')}>
          <Rows
            items={costs.releases}
            id={(r) => r.release + r.live_from}
            columns={[
              [t('costs.release'), (r) => <ReleaseLink id={r.release} />],
              [t('home.app'), (r) => r.app],
              [
                t('costs.change'),
                (r) =>
                  r.change ? (
                    <Anchor renderRoot={(p) => <Link to="/changes/$id" params={{ id: r.change?.replace('ch-', '') ?? '' }} {...p} />} inherit>
                      {changeNumber(r.change)}
                    </Anchor>
                  ) : (
                    '–'
                  ),
              ],
              [t('costs.live_from'), (r) => <When at={r.live_from} />],
              [
                t('costs.difference'),
                (r) => (
                  <>
                    {r.delta_share != null && `${r.delta_share > 0 ? '+' : ''}${figure(r.delta_share, 'share')} `}
                    <Text span size="sm" c="dimmed">
                      <Say text={r.text.text} />
                    </Text>
                  </>
                ),
              ],
            ]}
          />
        </Block>
      )}
    </Stack>
  );
}
