// Every look of the controller: why it went on, waited or went back.
import { Button, Group, Paper, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import * as queries from '../../api/queries.ts';
import type { Report } from '../../api/types.ts';
import { Say } from '../../components/basics.tsx';
import { Load } from '../../components/load.tsx';
import { clock } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import { fold } from './fold.ts';

const FIRST = 8;

export function Decisions({ id }: { id: string }) {
  const ticks = useQuery(queries.ticks(id));
  const [all, setAll] = useState(false);
  return (
    <section aria-label={t('live.decisions')}>
      <Title order={2} size="h4" mb="sm">
        {t('live.decisions')}
      </Title>
      <Load query={ticks}>
        {(page) => {
          const rows = fold(page.items);
          const shown = all ? rows : rows.slice(0, FIRST);
          return (
            <>
              <ol className="timeline">
                {shown.map((row) => (
                  <li key={`${row.report.at}`}>
                    <Row report={row.report} repeats={row.repeats} />
                  </li>
                ))}
              </ol>
              {rows.length > FIRST && (
                <Group>
                  <Button variant="default" size="xs" onClick={() => setAll(!all)} aria-expanded={all}>
                    {all ? t('common.less') : t('live.more', { count: rows.length - FIRST })}
                  </Button>
                </Group>
              )}
            </>
          );
        }}
      </Load>
    </section>
  );
}

function Row({ report, repeats }: { report: Report; repeats: number }) {
  return (
    <Paper withBorder p="xs">
      <details>
        <summary>
          <Text span size="sm" c="dimmed" className="nowrap">
            {clock(report.at)}
          </Text>{' '}
          <Text span size="sm" fw={600}>
            {t('live.at_share', { share: report.exposure.weight, step: report.step + 1, steps: report.steps })}
          </Text>{' '}
          <Text span size="sm" className="wrap">
            <Say text={report.summary.text} />
          </Text>
          {repeats > 0 && (
            <Text span size="xs" c="dimmed">
              {' '}
              {t('live.folded', { count: repeats })}
            </Text>
          )}
        </summary>
        <ul className="inputs">
          {report.signals.map((signal) => (
            <li key={signal.verdict.signal}>
              <Text size="sm" className="wrap">
                <Say text={signal.text.text} />
              </Text>
            </li>
          ))}
        </ul>
      </details>
    </Paper>
  );
}
