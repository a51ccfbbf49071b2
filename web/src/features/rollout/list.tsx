// Live: what is being tried on people now, and what was lately.
import { Anchor, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import * as queries from '../../api/queries.ts';
import type { Rollout } from '../../api/types.ts';
import { PageTitle, Say, VerdictWord, When } from '../../components/basics.tsx';
import { Empty, Load } from '../../components/load.tsx';
import { ShareBar } from '../../components/share.tsx';
import { Rows } from '../../components/rows.tsx';
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
    <Rows
      items={rollouts}
      id={(r) => r.id}
      columns={[
        [
          t('live.what'),
          (r) => (
            <div>
              <Anchor renderRoot={(p) => <Link to="/rollouts/$id" params={{ id: r.id }} {...p} />} fw={600}>
                {r.title}
              </Anchor>
              <Text size="xs" c="dimmed">
                {r.app}
              </Text>
            </div>
          ),
        ],
        [t('live.state'), (r) => <VerdictWord verdict={verdictOf(r)} />],
        [t('live.who'), (r) => <ShareBar weight={r.exposure.weight} shadow={r.exposure.shadow} small />],
        [
          t('live.says'),
          (r) => (
            <Text size="sm" lineClamp={3} className="wrap">
              <Say text={r.report?.summary.text ?? ''} />
            </Text>
          ),
        ],
        [t('live.started'), (r) => <When at={r.started_at} />],
      ]}
    />
  );
}
