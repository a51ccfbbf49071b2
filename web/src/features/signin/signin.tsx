// Signing in: by a one-time link, a name and password, or a token.
import { Anchor, Button, Paper, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useRouterState } from '@tanstack/react-router';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import * as queries from '../../api/queries.ts';
import { ProblemBox, Waiting } from '../../components/load.tsx';
import { t } from '../../lib/i18n.ts';
import { changeSession, leftProvider, signIn } from '../../lib/session.tsx';
import 'virtual:texts/signin';

export function SignIn() {
  useDocumentTitle(`${t('signin.title')} - Tidegate`);
  const client = useQueryClient();
  const navigate = useNavigate();
  const location = useRouterState({ select: (s) => s.location });
  const [way, setWay] = useState<'password' | 'token'>('password');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const code = new URLSearchParams(location.searchStr).get('code');
  const [left] = useState(leftProvider);
  const posted = useRef(false);
  const providers = useQuery({ ...queries.providers(), retry: false, staleTime: Infinity });
  // Where they wanted to go; the server takes local paths only.
  const to = location.pathname.endsWith('/signin') ? '' : `?to=${encodeURIComponent(location.pathname + location.searchStr)}`;

  const enter = async (body: Record<string, string>) => {
    setBusy(true);
    setError(null);
    try {
      const session = await signIn(body);
      changeSession(client, session);
      if (location.pathname.endsWith('/signin')) await navigate({ to: '/', replace: true });
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  const enterByCode = useRef(enter);
  useEffect(() => {
    if (!code || posted.current) return;
    // A one-time code works once, and effects may run twice.
    posted.current = true;
    void enterByCode.current({ code });
  }, [code]);

  const submit = (e: FormEvent<HTMLFormElement>) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget);
    const word = (name: string) => String(form.get(name) ?? '').trim();
    void enter(way === 'token' ? { token: word('token') } : { login: word('login'), password: word('password') });
  };

  return (
    <Stack component="main" p="lg" maw={440} mx="auto" mt="8vh" gap="lg">
      <div>
        <Title order={1} size="h2">
          {t('signin.title')}
        </Title>
        <Text c="dimmed">{t('signin.what')}</Text>
      </div>
      {left && (
        <Anchor href={left.url} size="sm">
          {t('signin.out_too', { name: left.name })}
        </Anchor>
      )}
      {error !== null && <ProblemBox error={error} />}
      {code && busy ? (
        <Waiting lines={2} />
      ) : (
        <Paper withBorder p="lg">
          {(providers.data?.items ?? []).map((p) => (
            <Button key={p.id} component="a" href={new URL(p.url, document.baseURI).href + to} fullWidth mb="sm">
              {t('signin.with', { name: p.name })}
            </Button>
          ))}
          {(providers.data?.items.length ?? 0) > 0 && (
            <Text size="sm" c="dimmed" ta="center" mb="sm">
              {t('signin.or')}
            </Text>
          )}
          <form onSubmit={submit}>
            <Stack>
              {way === 'password' ? (
                <>
                  <TextInput name="login" label={t('signin.login')} autoComplete="username" required withAsterisk={false} />
                  <PasswordInput
                    name="password"
                    label={t('signin.password')}
                    autoComplete="current-password"
                    required
                    withAsterisk={false}
                    visibilityToggleButtonProps={{ 'aria-label': t('signin.show'), tabIndex: 0 }}
                  />
                </>
              ) : (
                <PasswordInput
                  name="token"
                  label={t('signin.token')}
                  description={t('signin.token_help')}
                  autoComplete="off"
                  required
                  withAsterisk={false}
                  visibilityToggleButtonProps={{ 'aria-label': t('signin.show'), tabIndex: 0 }}
                />
              )}
              <Button type="submit" loading={busy} variant={providers.data?.items.length ? 'default' : 'filled'}>
                {t('signin.submit')}
              </Button>
              <Anchor
                component="button"
                type="button"
                size="sm"
                onClick={() => setWay(way === 'token' ? 'password' : 'token')}
              >
                {way === 'token' ? t('signin.by_password') : t('signin.by_token')}
              </Anchor>
            </Stack>
          </form>
        </Paper>
      )}
      <Text size="sm" c="dimmed">
        {t('signin.help')}
      </Text>
    </Stack>
  );
}
