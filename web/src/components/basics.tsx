// Small parts every page uses: titles, times, sentences, hashes, technical details.
import { Anchor, Badge, Box, Code, CopyButton, Group, Text, Title, UnstyledButton } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { Link } from '@tanstack/react-router';
import { useEffect, useState, type ReactNode } from 'react';
import { fileName } from '../lib/files.ts';
import { t } from '../lib/i18n.ts';
import { absolute, ago, shortRelease } from '../lib/format.ts';
import { SYMBOL, type Verdict } from '../lib/verdict.ts';

/** The page's heading and the window's title. */
export function PageTitle({ title, app, children }: { title: string; app?: string; children?: ReactNode }) {
  useDocumentTitle([title, app, 'Tidegate'].filter(Boolean).join(' - '));
  return (
    <Group justify="space-between" align="flex-start" gap="sm" mb="md" wrap="wrap">
      <Title order={1} size="h2" className="wrap">
        {title}
      </Title>
      {children}
    </Group>
  );
}

/** A server's sentence; what stands in backticks is set as code, files by what people call them.
 * Always text, never markup. */
export function Say({ text }: { text: string }) {
  return (
    <>
      {text.split('`').map((part, i) =>
        i % 2 === 1 ? (
          // The order of the parts is all the identity they have.
          // eslint-disable-next-line react/no-array-index-key
          <Code key={i} className="wrap" title={part}>
            {part.endsWith('.yaml') ? fileName(part) : part}
          </Code>
        ) : (
          part
        ),
      )}
    </>
  );
}

function useNow(): number {
  const [now, set] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), 5000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** How long ago, with the exact time on hover. */
export function When({ at }: { at: number }) {
  const now = useNow();
  return (
    <time dateTime={new Date(at).toISOString()} title={absolute(at)} className="nowrap">
      {ago(at, now)}
    </time>
  );
}

/** A release's short name, which leads to its page. */
export function ReleaseLink({ id }: { id: string | null | undefined }) {
  if (!id) return <>–</>;
  return (
    <Anchor renderRoot={(p) => <Link to="/releases/$id" params={{ id }} {...p} />} ff="monospace" inherit>
      {shortRelease(id)}
    </Anchor>
  );
}

/** What engineers want to know: folded away, and left as each person left it. */
export function Technical({ children }: { children: ReactNode }) {
  const [open] = useState(() => read('tidegate-technical') === 'open');
  return (
    <details
      open={open}
      className="technical"
      onToggle={(e) => write('tidegate-technical', e.currentTarget.open ? 'open' : 'closed')}
    >
      <summary>{t('common.technical')}</summary>
      <Box mt="xs">{children}</Box>
    </details>
  );
}

export function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}
export function write(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // A browser without storage forgets; nothing else is lost.
  }
}

/** A long identifier that can be copied. */
export function Copyable({ value }: { value: string }) {
  return (
    <CopyButton value={value}>
      {({ copied, copy }) => (
        <UnstyledButton onClick={copy} className="copyable">
          <Code className="wrap">{value}</Code>
          <Text span size="xs" c="dimmed" ml={6}>
            {copied ? t('common.copied') : t('common.copy')}
          </Text>
        </UnstyledButton>
      )}
    </CopyButton>
  );
}

/** Icon, word and colour of a verdict: never the colour alone. */
export function VerdictWord({ verdict }: { verdict: Verdict }) {
  return (
    <span className={`verdict verdict-${verdict}`}>
      <span aria-hidden="true">{SYMBOL[verdict]}</span> {t(`verdict.${verdict}`)}
    </span>
  );
}

const STATE_TONE: Record<string, string> = {
  live: 'good',
  needs_fixes: 'bad',
  rejected: 'bad',
  rolled_back: 'warn',
  needs_approval: 'warn',
  rolling_out: 'info',
  merging: 'info',
  checking: 'info',
};

/** A change's state in a word. */
export function StateBadge({ state }: { state: string }) {
  return (
    <Badge variant="default" className={`tone-${STATE_TONE[state] ?? 'none'}`} tt="none" fw={600}>
      {t(`state.${state}`, { defaultValue: state })}
    </Badge>
  );
}

/** Name and value, one below the other. */
export function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="fact">
      <Text component="dt" size="xs" c="dimmed">
        {label}
      </Text>
      <Text component="dd" size="sm" m={0} className="wrap">
        {children}
      </Text>
    </div>
  );
}
export function Facts({ children }: { children: ReactNode }) {
  return <dl className="facts">{children}</dl>;
}
