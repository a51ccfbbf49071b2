// The next page of a list, by the server's cursor; the address is the view.
import { Button, Group } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { t } from '../lib/i18n.ts';

export function More({ to, search, next }: { to: string; search: { cursor?: string }; next?: string | null }) {
  if (!next && !search.cursor) return null;
  return (
    <Group mt="md">
      {search.cursor && (
        <Button variant="default" renderRoot={(p) => <Link to={to} search={{ ...search, cursor: undefined } as never} {...p} />}>
          {t('common.newest')}
        </Button>
      )}
      {next && (
        <Button variant="default" renderRoot={(p) => <Link to={to} search={{ ...search, cursor: next } as never} {...p} />}>
          {t('common.older')}
        </Button>
      )}
    </Group>
  );
}
