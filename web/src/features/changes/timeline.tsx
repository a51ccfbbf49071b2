// What happened to a change, oldest first, from the audit log.
import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import * as queries from '../../api/queries.ts';
import type { Change } from '../../api/types.ts';
import { AuditSentence } from '../../components/audit-row.tsx';
import { When } from '../../components/basics.tsx';
import { Load } from '../../components/load.tsx';

export function Timeline({ change }: { change: Change }) {
  const of = (object: string) => queries.audit({ object });
  const own = useQuery(of(`change/${change.id}`));
  const rollout = useQuery({ ...of(`rollout/${change.rollout}`), enabled: change.rollout !== null });
  return (
    <Load query={own}>
      {(page) => {
        const rows = [...page.items, ...(rollout.data?.items ?? [])].sort((a, b) => a.index - b.index);
        return (
          <ol className="timeline">
            {rows.map((row) => (
              <li key={row.index}>
                <Text size="sm" className="wrap">
                  <Text span size="sm" c="dimmed">
                    <When at={row.entry.at} />
                  </Text>{' '}
                  <AuditSentence row={row} />
                </Text>
              </li>
            ))}
          </ol>
        );
      }}
    </Load>
  );
}
