// Changes as a table; on a phone as cards.
import { Anchor, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { Change } from '../api/types.ts';
import { changeNumber } from '../lib/format.ts';
import { t } from '../lib/i18n.ts';
import { Say, StateBadge, When } from './basics.tsx';
import { Empty } from './load.tsx';
import { Rows } from './rows.tsx';

export function ChangeTable({ changes, withApp }: { changes: Change[]; withApp?: boolean }) {
  if (changes.length === 0) return <Empty text={t('changes.none')} />;
  return (
    <Rows
      items={changes}
      id={(c) => c.id}
      columns={[
        [
          t('changes.change'),
          (c) => (
            <Anchor renderRoot={(p) => <Link to="/changes/$id" params={{ id: c.id.replace('ch-', '') }} {...p} />} fw={600} className="wrap">
              {changeNumber(c.id)} {c.title}
            </Anchor>
          ),
        ],
        withApp && [t('home.app'), (c) => c.app],
        [t('changes.state'), (c) => <StateBadge state={c.state} />],
        [
          t('changes.next'),
          (c) => (
            <Text size="sm" className="wrap">
              <Say text={c.summary.text} />
            </Text>
          ),
        ],
        [t('changes.author'), (c) => c.author],
        [t('changes.moved'), (c) => <When at={c.updated_at} />],
      ]}
    />
  );
}
