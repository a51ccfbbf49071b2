// What is asked before an action that is felt: who, what, how to undo it, and sometimes why.
import { Button, Chip, Group, Modal, Stack, Text, Textarea } from '@mantine/core';
import { useState } from 'react';
import type { AllowedAction } from '../api/types.ts';
import { REASON_MIN } from '../lib/confirm.ts';
import { t } from '../lib/i18n.ts';
import { sentence } from '../lib/sentence.ts';
import type { Ask } from './act.tsx';
import { Say } from './basics.tsx';
import { ProblemBox } from './load.tsx';

/** Dark enough for white words, in light and in dark. */
export const FILL = { warn: '#8a4b00', bad: '#b02525' };

interface Props {
  action: AllowedAction;
  ask: Ask;
  level: string;
  busy: boolean;
  error: unknown;
  onAct: (reason: string) => Promise<void>;
  onCancel: () => void;
}

export function ConfirmDialog({ opened, ...props }: Props & { opened: boolean }) {
  const { ask, busy, onCancel } = props;
  return (
    <Modal opened={opened} onClose={() => !busy && onCancel()} title={ask.title ?? ask.label} size="lg" returnFocus={false}>
      <Confirm {...props} />
    </Modal>
  );
}

function Confirm({
  action,
  ask,
  level,
  busy,
  error,
  onAct,
  onCancel,
}: Props) {
  const [reason, setReason] = useState('');
  const [chip, setChip] = useState<string | null>(null);
  const [missing, setMissing] = useState(false);
  const needed = level === 'C3';
  const full = [chip, reason.trim()].filter(Boolean).join(': ');
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (needed && full.length < REASON_MIN) {
          setMissing(true);
          document.getElementById('confirm-reason')?.focus();
          return;
        }
        void onAct(full);
      }}
    >
      <Stack gap="md">
        <Text>
          <Say text={sentence(action.consequence)} />
        </Text>
        {ask.body}
        {(needed || ask.optionalReason) && (
          <>
            {ask.chips && (
              <Chip.Group value={chip} onChange={(v) => setChip(v as string)}>
                <Group gap="xs" role="group" aria-label={t('act.reasons')}>
                  {ask.chips.map((c) => (
                    <Chip key={c} value={c} variant="outline" color="gray">
                      {c}
                    </Chip>
                  ))}
                </Group>
              </Chip.Group>
            )}
            <Textarea
              id="confirm-reason"
              label={needed ? t('act.reason') : t('act.reason_optional')}
              description={needed ? t('act.reason_rule', { n: REASON_MIN }) : t('act.reason_later')}
              required={needed}
              withAsterisk={needed}
              error={missing && full.length < REASON_MIN ? t('act.reason_short', { n: REASON_MIN }) : undefined}
              value={reason}
              onChange={(e) => setReason(e.currentTarget.value)}
              autosize
              minRows={2}
              data-autofocus={needed ? true : undefined}
            />
          </>
        )}
        {error !== null && <ProblemBox error={error} />}
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={onCancel} disabled={busy}>
            {t('common.cancel')}
          </Button>
          <Button
            type="submit"
            color={ask.tone && FILL[ask.tone]}
            aria-busy={busy}
            aria-disabled={busy || undefined}
            data-autofocus={needed ? undefined : true}
          >
            {busy ? ask.busy : ask.label}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
