// What is measured: one tile a signal, worst first, or all of them as a table.
import { Paper, SimpleGrid, Table, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import * as queries from '../../api/queries.ts';
import type { Rollout, Series, SignalReport } from '../../api/types.ts';
import { Say } from '../../components/basics.tsx';
import { Load } from '../../components/load.tsx';
import { figure } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import { Chart } from './chart.tsx';
import { sortTiles, unitOf } from './tile.ts';

export function Tiles({ rollout, table }: { rollout: Rollout; table: boolean }) {
  const drawn = useQuery(queries.series(rollout.id));
  const signals = rollout.report?.signals ?? [];
  if (signals.length === 0) return <Text c="dimmed">{t('live.no_signals')}</Text>;
  if (table) return <AsTable signals={signals} />;
  return (
    <Load query={drawn}>
      {(lines) => {
        return (
          <SimpleGrid cols={{ base: 1, sm: 2, xl: 3 }}>
            {sortTiles(signals).map((signal) => (
              <Tile key={signal.verdict.signal} signal={signal} series={lines.signals.find((s) => s.key === signal.verdict.signal)} />
            ))}
          </SimpleGrid>
        );
      }}
    </Load>
  );
}

const MARK: Record<string, string> = { pass: '✓', hold: '…', fail: '!', no_data: '…', inconclusive: '…' };

function Tile({ signal, series }: { signal: SignalReport; series?: Series['signals'][number] }) {
  const { verdict } = signal;
  const unit = series?.unit ?? unitOf(verdict.signal, verdict.candidate.bad !== null);
  return (
    <Paper withBorder p="md" component="section" aria-label={signal.text.text} className={`tile tile-${verdict.outcome}`}>
      <Title order={3} size="h6">
        {series?.label ?? verdict.signal}{' '}
        <span className={`mark mark-${verdict.outcome}`}>
          <span aria-hidden="true">{MARK[verdict.outcome] ?? '…'}</span> {t(`outcome.${verdict.outcome}`, { defaultValue: verdict.outcome })}
        </span>
      </Title>
      <div className="tile-numbers">
        <span className="tile-big">{figure(verdict.candidate.value, unit)}</span>
        <Text span size="sm" c="dimmed">
          {t('tile.today', { value: figure(verdict.control.value, unit) })}
        </Text>
        {verdict.limit !== null && (
          <Text span size="sm" c="dimmed">
            {t('tile.limit', { value: figure(verdict.limit, unit) })}
          </Text>
        )}
      </div>
      {series && series.points.length > 1 && <Chart series={series} unit={unit} />}
      <Text size="sm" mt={6} className="wrap">
        <Say text={signal.text.text} />
      </Text>
      <Text size="xs" c="dimmed" mt={4}>
        {signal.over_needed > 0 && (
          <>
            <span aria-hidden="true" className="dots">
              {'●'.repeat(Math.min(signal.over, signal.over_needed))}
              {'○'.repeat(Math.max(0, signal.over_needed - signal.over))}
            </span>{' '}
            {t('tile.over', { n: signal.over, m: signal.over_needed })} ·{' '}
          </>
        )}
        {t('tile.samples', { count: verdict.candidate.n })}
        {verdict.needed ? ` ${t('tile.needed', { count: verdict.needed })}` : ''} · {t(`then.${verdict.action}`, { defaultValue: verdict.action })}
      </Text>
    </Paper>
  );
}

function AsTable({ signals }: { signals: SignalReport[] }) {
  return (
    <Table className="cards">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{t('tile.what')}</Table.Th>
          <Table.Th>{t('outcome.title')}</Table.Th>
          <Table.Th>{t('live.new')}</Table.Th>
          <Table.Th>{t('live.today')}</Table.Th>
          <Table.Th>{t('tile.limit_short')}</Table.Th>
          <Table.Th>{t('tile.answers')}</Table.Th>
          <Table.Th>{t('tile.then')}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {sortTiles(signals).map(({ verdict, text }) => {
          const unit = unitOf(verdict.signal, verdict.candidate.bad !== null);
          return (
            <Table.Tr key={verdict.signal}>
              <Table.Td data-label={t('tile.what')}>{verdict.signal}</Table.Td>
              <Table.Td data-label={t('outcome.title')}>
                <Text size="sm" className="wrap">
                  <Say text={text.text} />
                </Text>
              </Table.Td>
              <Table.Td data-label={t('live.new')}>{figure(verdict.candidate.value, unit)}</Table.Td>
              <Table.Td data-label={t('live.today')}>{figure(verdict.control.value, unit)}</Table.Td>
              <Table.Td data-label={t('tile.limit_short')}>{figure(verdict.limit, unit)}</Table.Td>
              <Table.Td data-label={t('tile.answers')}>{verdict.candidate.n}</Table.Td>
              <Table.Td data-label={t('tile.then')}>{t(`then.${verdict.action}`, { defaultValue: verdict.action })}</Table.Td>
            </Table.Tr>
          );
        })}
      </Table.Tbody>
    </Table>
  );
}
