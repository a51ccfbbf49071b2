// The whole story of a release or a change as one signed file, for who has no account here.
import { Button } from '@mantine/core';
import { apiUrl } from '../api/client.ts';
import { t } from '../lib/i18n.ts';
import { hasRole, useSession } from '../lib/session.tsx';

export function Evidence({ path }: { path: string }) {
  if (hasRole(useSession(), 'agent')) return null;
  return (
    <Button size="xs" variant="default" component="a" href={apiUrl(path)} download>
      {t('common.evidence')}
    </Button>
  );
}
