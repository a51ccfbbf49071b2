// Key figures: each number with its definition, its trend and the happenings it is made of.
import { Anchor, Button, Group, Paper, Select, SimpleGrid, Text, Title } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { apiUrl } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { Kpi } from '../../api/types.ts';
import { PageTitle, Say, When } from '../../components/basics.tsx';
import { Bars } from '../../components/bars.tsx';
import { Load } from '../../components/load.tsx';
import { Rows } from '../../components/rows.tsx';
import { figure, span } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import { pathOf } from '../../lib/inbox.ts';
import 'virtual:texts/kpis';

const DAYS = ['7', '30', '90', '365'];

export function Kpis() {
  const search = useSearch({ from: '/kpis' });
  const navigate = useNavigate({ from: '/kpis' });
  const apps = useQuery(queries.apps());
  const kpis = useQuery({ ...queries.kpis(search), placeholderData: keepPreviousData });
  return (
    <>
      <PageTitle title={t('nav.kpis')}>
        <Button size="xs" variant="default" component="a" href={apiUrl(queries.withSearch('kpis.csv', search))} download>
          {t('kpis.csv')}
        </Button>
      </PageTitle>
      <Group mb="md">
        <Select
          label={t('home.app')}
          clearable
          clearButtonProps={{ 'aria-label': t('common.clear') }}
          placeholder={t('common.all')}
          data={apps.data?.items.map((a) => a.name) ?? []}
          value={search.app ?? null}
          onChange={(app) => void navigate({ search: { ...search, app: app ?? undefined } })}
        />
        <Select
          label={t('kpis.period')}
          data={DAYS.map((d) => ({ value: d, label: t('kpis.days', { count: Number(d) }) }))}
          value={String(search.days ?? 90)}
          onChange={(days) => void navigate({ search: { ...search, days: Number(days) } })}
          allowDeselect={false}
        />
      </Group>
      <Load query={kpis}>
        {(data) => (
          <SimpleGrid cols={{ base: 1, md: 2 }}>
            {data.cards.map((card) => (
              <Card key={card.key} card={card} />
            ))}
          </SimpleGrid>
        )}
      </Load>
    </>
  );
}

function Card({ card }: { card: Kpi }) {
  const show = (value: number) => (card.unit === 'ms' ? span(`${Math.round(value)}ms`) : figure(value, card.unit));
  return (
    <Paper withBorder p="md" component="section" aria-label={card.title}>
      <Title order={2} size="h5">
        {card.title}
      </Title>
      <div className="tile-numbers">
        <span className="tile-big">{card.value == null ? '–' : show(card.value)}</span>
        {card.p90 != null && (
          <Text span size="sm" c="dimmed">
            {t('kpis.p90', { value: show(card.p90) })}
          </Text>
        )}
      </div>
      <Text size="sm" className="wrap">
        <Say text={card.text.text} />
      </Text>
      <Text size="sm" c="dimmed" mt={4} className="wrap">
        {card.definition}
      </Text>
      {card.breakdown.length > 0 && (
        <Text size="sm" mt={4}>
          {card.breakdown.map((b) => `${b.label} ${b.value == null ? '–' : show(b.value)}`).join(' · ')}
        </Text>
      )}
      {card.trend.some((p) => p.value != null) && (
        <Bars
          points={card.trend.map((p) => ({ label: new Date(p.from).toISOString().slice(0, 10), value: p.value ?? null }))}
          show={show}
          what={card.title}
          when={t('kpis.from')}
        />
      )}
      {card.list.length > 0 && (
        <details>
          <summary>{t('kpis.list', { count: card.list.length })}</summary>
          <Rows
            items={card.list}
            id={(p) => p.object + p.at}
            columns={[
              [t('kpis.at'), (p) => <When at={p.at} />],
              [
                t('kpis.what'),
                (p) => (
                  <Anchor renderRoot={(a) => <Link to={pathOf(p.url)} {...a} />} inherit>
                    <Say text={p.text} />
                  </Anchor>
                ),
              ],
              [t('kpis.value'), (p) => show(p.value)],
            ]}
          />
        </details>
      )}
    </Paper>
  );
}
