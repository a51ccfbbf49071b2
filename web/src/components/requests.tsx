// Requests as a table: each leads to its own "why".
import { Anchor, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { RequestRecord } from '../api/types.ts';
import { t } from '../lib/i18n.ts';
import { When } from './basics.tsx';
import { Rows } from './rows.tsx';
import 'virtual:texts/why';

export function RequestTable({ requests, withApp = false }: { requests: RequestRecord[]; withApp?: boolean }) {
  return (
    <Rows
      items={requests}
      id={(r) => r.id}
      columns={[
        [
          t('why.request'),
          (r) => (
            <Anchor renderRoot={(p) => <Link to="/requests/$id" params={{ id: r.id }} {...p} />} size="sm" className="wrap">
              {r.id}
            </Anchor>
          ),
        ],
        withApp && [t('home.app'), (r) => r.app],
        [
          t('why.answer'),
          (r) => (
            <Text size="sm" lineClamp={3} className="wrap">
              {r.answer ?? r.status}
            </Text>
          ),
        ],
        [t('why.at'), (r) => <When at={r.at} />],
      ]}
    />
  );
}
