// Is what I see now? A status, not an alarm.
import { Text } from '@mantine/core';
import { clock } from '../lib/format.ts';
import { t } from '../lib/i18n.ts';
import { useLiveStatus } from '../lib/live-context.tsx';

export function Pill() {
  const { state, heard } = useLiveStatus();
  const live = state === 'live';
  const words = live
    ? t('pill.live')
    : state === 'offline'
      ? t('pill.offline')
      : state === 'connecting' && !heard
        ? t('pill.connecting')
        : heard
          ? t('pill.reconnecting', { at: clock(heard) })
          : t('pill.asking');
  return (
    <Text size="xs" className={`pill ${live ? 'pill-live' : ''}`} role="status" title={words}>
      <span aria-hidden="true">{live ? '●' : '○'}</span> <span className="pill-words">{words}</span>
    </Text>
  );
}
