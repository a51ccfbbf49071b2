// Buttons with an effect: what they need before they act, and the fact they end in.
//
// A disabled one stays visible and says why when it is pointed at, focused or clicked. While an
// action is under way its button cannot be clicked again.
import { Alert, Button, Chip, Group, Modal, Stack, Text, Textarea, Tooltip } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useId, useState, type ReactNode } from 'react';
import type { AllowedAction } from '../api/types.ts';
import { REASON_MIN, levelOf } from '../lib/confirm.ts';
import { t } from '../lib/i18n.ts';
import { Say } from './basics.tsx';
import { ProblemBox } from './load.tsx';

export interface Ask {
  /** Words of the button. */
  label: string;
  /** Words while it is under way. */
  busy: string;
  /** Heading of the dialog: who, what. */
  title?: string;
  /** More than the server's consequence: what it goes back to, how to undo. */
  body?: ReactNode;
  color?: string;
  variant?: string;
  size?: string;
  /** Reasons that can be picked instead of typed. */
  chips?: string[];
  /** A reason is asked for and may be left empty. */
  optionalReason?: boolean;
}

/** A button that does one of the allowed actions. */
export function ActionButton({
  action,
  ask,
  run,
}: {
  action: AllowedAction;
  ask: Ask;
  run: (reason: string) => Promise<void>;
}) {
  const [opened, dialog] = useDisclosure(false);
  const [busy, setBusy] = useState(false);
  const [told, tell] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const why = useId();
  const level = levelOf(action);

  const act = async (reason: string) => {
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      await run(reason);
      dialog.close();
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  const common = { color: ask.color, variant: ask.variant ?? 'default', size: ask.size ?? 'sm' };

  if (!action.enabled) {
    const reason = sentence(action.why_not ?? t('act.not_now'));
    return (
      <div>
        <Tooltip label={reason} multiline maw={320}>
          <Button
            {...common}
            variant="default"
            aria-disabled="true"
            data-disabled
            aria-describedby={why}
            onClick={(e) => {
              e.preventDefault();
              tell(true);
            }}
          >
            {ask.label}
          </Button>
        </Tooltip>
        <Text id={why} size="xs" c="dimmed" mt={4} maw={260} className={told ? '' : 'visually-hidden'}>
          {reason}
        </Text>
      </div>
    );
  }
  return (
    <div>
      <Button
        {...common}
        aria-busy={busy}
        aria-haspopup={level === 'C1' ? undefined : 'dialog'}
        onClick={() => (level === 'C1' ? void act('') : dialog.open())}
      >
        {busy && !opened ? ask.busy : ask.label}
      </Button>
      {error !== null && !opened && <ProblemBox error={error} />}
      {level !== 'C1' && (
        <Modal opened={opened} onClose={() => !busy && dialog.close()} title={ask.title ?? ask.label} size="lg">
          <Confirm action={action} ask={ask} level={level} busy={busy} error={error} onAct={act} onCancel={dialog.close} />
        </Modal>
      )}
    </div>
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
}: {
  action: AllowedAction;
  ask: Ask;
  level: string;
  busy: boolean;
  error: unknown;
  onAct: (reason: string) => Promise<void>;
  onCancel: () => void;
}) {
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
            color={ask.color}
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

/** Begins with a capital and ends with a full stop. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return '';
  const begun = /^[a-z]/.test(trimmed) ? trimmed[0]?.toUpperCase() + trimmed.slice(1) : trimmed;
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/** What an action led to; said politely to screen readers, and it stays. */
export function Done({ text }: { text: string | null }) {
  return (
    <div role="status" aria-live="polite">
      {text && (
        <Alert color="green" variant="outline" className="done" mt="sm">
          <Say text={text} />
        </Alert>
      )}
    </div>
  );
}
