// A page that could not be shown: said in words, with a way on.
import { Alert, Button, Text } from '@mantine/core';
import { t } from '../lib/i18n.ts';

export function Broken({ error }: { error: unknown }) {
  const message = error instanceof Error ? error.message : String(error);
  // A page of an older build asks for files that a newer server no longer has.
  const outdated = /import|module|fetch/i.test(message);
  return (
    <Alert color="red" variant="outline" role="alert" title={outdated ? t('broken.updated') : t('broken.title')}>
      <Text size="sm" mb="sm" className="wrap">
        {outdated ? t('broken.updated_text') : message}
      </Text>
      <Button variant="default" size="xs" onClick={() => location.reload()}>
        {t('broken.reload')}
      </Button>
    </Alert>
  );
}
