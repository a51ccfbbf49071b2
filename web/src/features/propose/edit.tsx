// One text of the app being edited: an editor with the difference to production, or on a small
// screen a plain text box; variables to insert; what stands where.
import { Button, Group, Skeleton, Switch, Text, Textarea } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { lazy, Suspense, useRef, useState } from 'react';
import type { AppFile, CheckFinding } from '../../api/types.ts';
import { t } from '../../lib/i18n.ts';
import type { Handle } from './editor.tsx';
import { usedVariables } from './variables.ts';
import 'virtual:texts/edit';

const Editor = lazy(() => import('./editor.tsx').then((m) => ({ default: m.Editor })));

interface Props {
  file: AppFile;
  text: string;
  /** Every text of the app as it would be, to know which variables are used at all. */
  all: Record<string, string>;
  findings: CheckFinding[];
  onChange: (text: string) => void;
  onCheck: () => void;
}

export function Edit({ file, text, all, findings, onChange, onCheck }: Props) {
  const small = useMediaQuery('(max-width: 40em)', false, { getInitialValueInEffect: false });
  const [diff, setDiff] = useState(true);
  const handle = useRef<Handle | null>(null);
  const box = useRef<HTMLTextAreaElement>(null);
  const variables = file.variables ?? [];
  const used = usedVariables(Object.values(all).join('\n'));
  const unused = variables.filter((v) => !used.has(v));
  const label = t('edit.label');

  const insert = (name: string) => {
    const word = `{{ ${name} }}`;
    if (handle.current) {
      handle.current.insert(word);
      return;
    }
    const at = box.current?.selectionStart ?? text.length;
    onChange(text.slice(0, at) + word + text.slice(at));
  };

  return (
    <div>
      {variables.length > 0 && (
        <Group gap="xs" mb="xs" role="group" aria-label={t('edit.variables')}>
          <Text size="sm">{t('edit.variables')}:</Text>
          {variables.map((name) => (
            <Button key={name} size="compact-sm" variant="default" onClick={() => insert(name)} aria-label={t('edit.insert', { name })} ff="monospace">
              {name}
            </Button>
          ))}
          {unused.length > 0 && (
            <Text size="sm" c="dimmed">
              {t('edit.unused', { names: unused.join(', ') })}
            </Text>
          )}
        </Group>
      )}
      {small ? (
        <Textarea ref={box} aria-label={label} value={text} onChange={(e) => onChange(e.currentTarget.value)} autosize minRows={8} maxRows={24} className="mono" />
      ) : (
        <>
          <Suspense fallback={<Skeleton height={220} aria-label={t('common.loading')} />}>
            <Editor
              label={label}
              value={text}
              original={file.text}
              diff={diff}
              findings={findings}
              onChange={onChange}
              onCheck={onCheck}
              handle={handle}
            />
          </Suspense>
          <Group justify="space-between" mt={6}>
            <Switch label={t('edit.diff')} checked={diff} onChange={(e) => setDiff(e.currentTarget.checked)} size="sm" />
            <Text size="xs" c="dimmed">
              {t('edit.keys')}
            </Text>
          </Group>
        </>
      )}
    </div>
  );
}
