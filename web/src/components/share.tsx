// How many people have the new version, as a bar with words.
import { Text } from '@mantine/core';
import { percent } from '../lib/format.ts';
import { t } from '../lib/i18n.ts';

export function ShareBar({ weight, shadow, small }: { weight: string; shadow: string; small?: boolean }) {
  const share = percent(weight);
  const words = share === 0 && percent(shadow) > 0 ? t('share.shadow', { share: shadow }) : t('share.weight', { share: weight });
  return (
    <div className={small ? 'share share-small' : 'share'}>
      <div
        role="progressbar"
        aria-label={t('share.label')}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={share}
        aria-valuetext={words}
        className="share-bar"
      >
        <div className="share-fill" style={{ width: `${share}%` }} />
      </div>
      <Text size={small ? 'xs' : 'sm'} className="nowrap" aria-hidden="true">
        {words}
      </Text>
    </div>
  );
}
