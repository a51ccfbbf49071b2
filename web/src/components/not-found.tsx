// An address there is nothing at.
import { Anchor, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { t } from '../lib/i18n.ts';
import { PageTitle } from './basics.tsx';

export function NotFound() {
  return (
    <>
      <PageTitle title={t('notfound.title')} />
      <Text>
        {t('notfound.text')} <Anchor renderRoot={(p) => <Link to="/" {...p} />}>{t('notfound.home')}</Anchor>
      </Text>
    </>
  );
}
