// Live: what is being tried on people now, and what was lately.
import { Anchor, Stack, Table, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import * as queries from '../../api/queries.ts';
import type { Rollout } from '../../api/types.ts';
import { PageTitle, Say, VerdictWord, When } from '../../components/basics.tsx';
import { Empty, Load } from '../../components/load.tsx';
import { ShareBar } from '../../components/share.tsx';
import { t } from '../../lib/i18n.ts';
import { verdictOf } from '../../lib/verdict.ts';

const OVER = ['promoted', 'rolled_back'];

export function LiveList() {
  const rollouts = useQuery(queries.rollouts({}));
  return (
    <>
      <PageTitle title={t('nav.live')} />
      <Load query={rollouts}>
        {(page) => {
          const now = page.items.filter((r) => !OVER.includes(r.phase.name));
          const over = page.items.filter((r) => OVER.includes(r.phase.name));
          return (
            <Stack gap="xl">
              {now.length > 0 ? (
                <Rollouts rollouts={now} />
              ) : (
                <Empty text={over[0] ? t('live.none_last', { title: over[0].title }) : t('live.none')} />
              )}
              {over.length > 0 && (
                <section>
                  <Title order={2} size="h4" mb="sm">
                    {t('live.before')}
                  </Title>
                  <Rollouts rollouts={over} />
                </section>
              )}
            </Stack>
          );
        }}
      </Load>
    </>
  );
}

function Rollouts({ rollouts }: { rollouts: Rollout[] }) {
  return (
    <Table className="cards" verticalSpacing="sm">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{t('live.what')}</Table.Th>
          <Table.Th>{t('live.state')}</Table.Th>
          <Table.Th>{t('live.who')}</Table.Th>
          <Table.Th>{t('live.says')}</Table.Th>
          <Table.Th>{t('live.started')}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rollouts.map((r) => (
          <Table.Tr key={r.id}>
            <Table.Td data-label={t('live.what')}>
              <div>
                <Anchor renderRoot={(p) => <Link to="/rollouts/$id" params={{ id: r.id }} {...p} />} fw={600}>
                  {r.title}
                </Anchor>
                <Text size="xs" c="dimmed">
                  {r.app}
                </Text>
              </div>
            </Table.Td>
            <Table.Td data-label={t('live.state')}>
              <VerdictWord verdict={verdictOf(r)} />
            </Table.Td>
            <Table.Td data-label={t('live.who')}>
              <ShareBar weight={r.exposure.weight} shadow={r.exposure.shadow} small />
            </Table.Td>
            <Table.Td data-label={t('live.says')}>
              <Text size="sm" lineClamp={3} className="wrap">
                <Say text={r.report?.summary.text ?? ''} />
              </Text>
            </Table.Td>
            <Table.Td data-label={t('live.started')}>
              <When at={r.started_at} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
