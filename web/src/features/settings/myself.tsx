// One's own password, and a link to sign in with somewhere else.
import { Alert, Button, Paper, PasswordInput, SimpleGrid, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { call, post } from '../../api/client.ts';
import { Done } from '../../components/act.tsx';
import { Copyable, When } from '../../components/basics.tsx';
import { Block } from '../../components/block.tsx';
import { Form } from '../../components/form.tsx';
import { ProblemBox } from '../../components/load.tsx';
import { t } from '../../lib/i18n.ts';
import { useSession } from '../../lib/session.tsx';
import 'virtual:texts/settings';

interface Code {
  url: string;
  expires_at: number;
}

/** Makes a link that signs a person in, and shows it once. */
export function OneTimeLink({ person, label, name }: { person: string; label: string; name?: string }) {
  const [made, setMade] = useState<Code | null>(null);
  const [error, setError] = useState<unknown>(null);
  const make = async () => {
    setError(null);
    try {
      setMade(await post<Code>(`people/${encodeURIComponent(person)}/sign-in-code`, {}));
    } catch (e) {
      setError(e);
    }
  };
  return (
    <div>
      <Button size="xs" variant="default" onClick={() => void make()} aria-label={name}>
        {label}
      </Button>
      <div role="status" aria-live="polite">
        {made && (
          <Alert variant="outline" color="orange" mt="xs" title={t('settings.link_once')}>
            <Copyable value={made.url} />
            <Text size="xs" c="dimmed">
              {t('settings.link_until')} <When at={made.expires_at} />
            </Text>
          </Alert>
        )}
      </div>
      {error !== null && <ProblemBox error={error} />}
    </div>
  );
}

export function Myself() {
  const me = useSession().person;
  const [done, setDone] = useState<string | null>(null);
  // A new form after each success: what was typed is not kept.
  const [round, next] = useState(0);
  const show = { visibilityToggleButtonProps: { 'aria-label': t('settings.show'), tabIndex: 0 } };
  return (
    <Block title={t('settings.myself')}>
      <Paper withBorder p="md">
        <Stack>
          <Form
            key={round}
            label={t('settings.password_set')}
            tone="default"
            send={async (word) => {
              setDone(null);
              await call('PUT', `people/${encodeURIComponent(me.id)}/password`, {
                body: { password: word('password'), current: word('current') || undefined },
              });
              setDone(t('settings.password_done'));
              next(round + 1);
            }}
          >
            <SimpleGrid cols={{ base: 1, sm: 2 }}>
              <PasswordInput
                name="current"
                label={t('settings.password_now')}
                description={t('settings.password_now_help')}
                autoComplete="current-password"
                {...show}
              />
              <PasswordInput
                name="password"
                label={t('settings.password_new')}
                description={t('settings.password_rule')}
                autoComplete="new-password"
                required
                {...show}
              />
            </SimpleGrid>
          </Form>
          <Done text={done} />
          <div>
            <Text size="sm" mb={6}>
              {t('settings.link_what')}
            </Text>
            <OneTimeLink person={me.id} label={t('settings.link_make')} />
          </div>
        </Stack>
      </Paper>
    </Block>
  );
}
