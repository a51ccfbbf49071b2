// A row of the audit log in words.
import { Anchor, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { AuditRow } from '../api/types.ts';
import { t } from '../lib/i18n.ts';

/** The page of `change/ch-2`, `rollout/ro-1`, …; none for others. */
export function pageOf(object: string): string | null {
  const [kind = '', name = ''] = object.split(/\/(.*)/s);
  const id = encodeURIComponent(name);
  switch (kind) {
    case 'change':
      return `/changes/${name.replace('ch-', '')}`;
    case 'rollout':
      return `/rollouts/${id}`;
    case 'incident':
      return `/incidents/${id}`;
    case 'release':
      return `/releases/${id}`;
    case 'app':
      return `/apps/${id}`;
    default:
      return null;
  }
}

export function actorOf(row: AuditRow): string {
  const { actor } = row.entry;
  return actor.name ?? t(`actor.${actor.kind}`, { defaultValue: actor.kind });
}

export function AuditSentence({ row }: { row: AuditRow }) {
  const { entry } = row;
  const page = pageOf(entry.object);
  const name = entry.object.split(/\/(.*)/s)[1] ?? entry.object;
  const short = name.startsWith('sha256:') ? `rel-${name.slice(7, 15)}` : name;
  return (
    <>
      <strong>{actorOf(row)}</strong> {t(`audit.${entry.action.replace('.', '_')}`, { defaultValue: entry.action })}{' '}
      {page ? (
        <Anchor renderRoot={(p) => <Link to={page} {...p} />} inherit>
          {short}
        </Anchor>
      ) : (
        short
      )}
      {entry.reason && (
        <Text span size="sm" className="wrap">
          {' '}
          “{entry.reason}”
        </Text>
      )}
    </>
  );
}
