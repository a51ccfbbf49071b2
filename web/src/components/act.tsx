// Buttons with an effect: what they need before they act, and the fact they end in.
//
// A disabled one stays visible and says why when it is pointed at, focused or clicked. While an
// action is under way its button cannot be clicked again.
import { Alert, Button, Text, Tooltip } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Suspense, lazy, useId, useRef, useState, type ReactNode } from 'react';
import type { AllowedAction } from '../api/types.ts';
import { levelOf } from '../lib/confirm.ts';
import { t } from '../lib/i18n.ts';
import { sentence } from '../lib/sentence.ts';
import { Say } from './basics.tsx';
import { ProblemBox } from './load.tsx';

const loadDialog = () => import('./confirm-dialog.tsx');
const ConfirmDialog = lazy(() => loadDialog().then((m) => ({ default: m.ConfirmDialog })));

export interface Ask {
  /** Words of the button. */
  label: string;
  /** Words while it is under way. */
  busy: string;
  /** Heading of the dialog: who, what. */
  title?: string;
  /** More than the server's consequence: what it goes back to, how to undo. */
  body?: ReactNode;
  /** How much it is felt: colours the words, and fills the last button. */
  tone?: 'warn' | 'bad';
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
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const trigger = useRef<HTMLButtonElement>(null);
  const why = useId();
  const level = levelOf(action);

  // The dialog is mounted when it is first opened, too late for it to know where the focus was.
  const close = () => {
    dialog.close();
    requestAnimationFrame(() => trigger.current?.focus());
  };
  const act = async (reason: string) => {
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      await run(reason);
      close();
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  const common = { className: ask.tone && `tone-${ask.tone}`, variant: ask.variant ?? 'default', size: ask.size ?? 'sm' };

  if (!action.enabled) {
    const reason = sentence(action.why_not ?? t('act.not_now'));
    return (
      <div>
        <Tooltip label={reason} multiline maw={320}>
          <Button
            size={ask.size ?? 'sm'}
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
        ref={trigger}
        aria-busy={busy}
        aria-haspopup={level === 'C1' ? undefined : 'dialog'}
        onPointerEnter={() => void loadDialog()}
        onFocus={() => void loadDialog()}
        onClick={() => {
          if (level === 'C1') {
            void act('');
            return;
          }
          setAsked(true);
          dialog.open();
        }}
      >
        {busy && !opened ? ask.busy : ask.label}
      </Button>
      {error !== null && !opened && <ProblemBox error={error} />}
      {level !== 'C1' && (
        <Suspense>
          {asked && (
            <ConfirmDialog opened={opened} action={action} ask={ask} level={level} busy={busy} error={error} onAct={act} onCancel={close} />
          )}
        </Suspense>
      )}
    </div>
  );
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
