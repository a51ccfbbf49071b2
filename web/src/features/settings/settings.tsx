// Settings: people, tokens, git, gateways, and what this is.
import { Alert, Anchor, Badge, Button, Checkbox, Code, Group, Modal, Paper, Stack, Table, Text, TextInput, Title } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent, type ReactNode } from 'react';
import { call, post } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { MadeToken, Token } from '../../api/types.ts';
import { ActionButton, Done } from '../../components/act.tsx';
import { Copyable, Fact, Facts, PageTitle, Say, When } from '../../components/basics.tsx';
import { Load, ProblemBox } from '../../components/load.tsx';
import { t } from '../../lib/i18n.ts';
import { hasRole, useSession } from '../../lib/session.tsx';
import 'virtual:texts/role_does';
import 'virtual:texts/settings';

const ROLES = ['editor', 'approver', 'finance', 'operator', 'auditor', 'admin', 'agent'];

export function Settings() {
  return (
    <>
      <PageTitle title={t('nav.settings')} />
      <Stack gap="xl">
        <People />
        <Tokens />
        <Git />
        <Gateways />
        <About />
      </Stack>
    </>
  );
}

function Block({ title, children, side }: { title: string; children: ReactNode; side?: ReactNode }) {
  return (
    <section aria-label={title}>
      <Group justify="space-between" mb="sm">
        <Title order={2} size="h4">
          {title}
        </Title>
        {side}
      </Group>
      {children}
    </section>
  );
}

function People() {
  const people = useQuery(queries.people());
  const session = useSession();
  const [opened, dialog] = useDisclosure(false);
  const admin = hasRole(session, 'admin');
  return (
    <Block
      title={t('settings.people')}
      side={
        admin && (
          <Button size="xs" variant="default" onClick={dialog.open}>
            {t('settings.add_person')}
          </Button>
        )
      }
    >
      <Load query={people}>
        {(page) => (
          <Table className="cards">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('settings.name')}</Table.Th>
                <Table.Th>{t('settings.login')}</Table.Th>
                <Table.Th>{t('settings.roles')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {page.items.map((p) => (
                <Table.Tr key={p.name}>
                  <Table.Td data-label={t('settings.name')}>{p.display || p.name}</Table.Td>
                  <Table.Td data-label={t('settings.login')}>{p.name}</Table.Td>
                  <Table.Td data-label={t('settings.roles')}>{p.roles.map((r) => t(`role.${r}`, { defaultValue: r })).join(', ')}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </Load>
      {!admin && (
        <Text size="sm" c="dimmed" mt="xs">
          {t('settings.people_who')}
        </Text>
      )}
      <Modal opened={opened} onClose={dialog.close} title={t('settings.add_person')}>
        <AddPerson onDone={dialog.close} />
      </Modal>
    </Block>
  );
}

function AddPerson({ onDone }: { onDone: () => void }) {
  const client = useQueryClient();
  const [roles, setRoles] = useState<string[]>(['editor']);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (e: FormEvent<HTMLFormElement>) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget);
    const word = (name: string) => String(form.get(name) ?? '').trim();
    setBusy(true);
    setError(null);
    try {
      await post('people', { name: word('name'), display: word('display'), email: word('email'), roles });
      await client.invalidateQueries({ queryKey: ['people'] });
      onDone();
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(e) => void submit(e)}>
      <Stack>
        <TextInput name="name" label={t('settings.login')} description={t('settings.login_rule')} required data-autofocus />
        <TextInput name="display" label={t('settings.name')} />
        <TextInput name="email" type="email" label={t('settings.email')} />
        <Checkbox.Group label={t('settings.roles')} value={roles} onChange={setRoles}>
          <Stack gap={6} mt={4}>
            {ROLES.map((role) => (
              <Checkbox key={role} value={role} label={`${t(`role.${role}`)}: ${t(`role_does.${role}`)}`} />
            ))}
          </Stack>
        </Checkbox.Group>
        {error !== null && <ProblemBox error={error} />}
        <Button type="submit" loading={busy}>
          {t('settings.add_person')}
        </Button>
      </Stack>
    </form>
  );
}

function Tokens() {
  const tokens = useQuery(queries.tokens());
  const client = useQueryClient();
  const session = useSession();
  const [opened, dialog] = useDisclosure(false);
  const [made, setMade] = useState<MadeToken | null>(null);
  const [done, setDone] = useState<string | null>(null);
  const close = () => {
    dialog.close();
    setMade(null);
  };
  const revoke = async (token: Token) => {
    await call('DELETE', `tokens/${encodeURIComponent(token.id)}`);
    setDone(t('settings.revoked', { id: token.id }));
    await client.invalidateQueries({ queryKey: ['tokens'] });
  };
  const scope = (token: Token) =>
    token.person ?? (token.gateway ? t('settings.for_gateway') : t('settings.for_apps', { apps: token.apps.join(', ') }));
  return (
    <Block
      title={t('settings.tokens')}
      side={
        <Button size="xs" variant="default" onClick={dialog.open}>
          {t('settings.make_token')}
        </Button>
      }
    >
      <Load query={tokens}>
        {(page) => (
          <Table className="cards">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('settings.token')}</Table.Th>
                <Table.Th>{t('settings.scope')}</Table.Th>
                <Table.Th>{t('settings.note')}</Table.Th>
                <Table.Th>{t('settings.expires')}</Table.Th>
                <Table.Th>{t('home.do')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {page.items.map((token) => (
                <Table.Tr key={token.id}>
                  <Table.Td data-label={t('settings.token')}>
                    <Code>{token.id}</Code>
                  </Table.Td>
                  <Table.Td data-label={t('settings.scope')}>{scope(token)}</Table.Td>
                  <Table.Td data-label={t('settings.note')} className="wrap">
                    {token.note || '–'}
                  </Table.Td>
                  <Table.Td data-label={t('settings.expires')}>
                    <When at={token.expires_at} />
                  </Table.Td>
                  <Table.Td data-label={t('home.do')}>
                    <ActionButton
                      action={{ kind: 'revoke', enabled: true, consequence: t('settings.revoke_what') }}
                      ask={{ label: t('settings.revoke'), busy: t('act.working'), size: 'xs', title: t('settings.revoke_title', { id: token.id }), tone: 'bad' }}
                      run={() => revoke(token)}
                    />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </Load>
      <Done text={done} />
      <Modal opened={opened} onClose={close} title={t('settings.make_token')}>
        {made ? (
          <Stack>
            <Alert variant="outline" color="orange" title={t('settings.once')}>
              <Copyable value={made.secret} />
            </Alert>
            <Button onClick={close}>{t('common.close')}</Button>
          </Stack>
        ) : (
          <MakeToken person={session.person.id} onMade={setMade} />
        )}
      </Modal>
    </Block>
  );
}

function MakeToken({ person, onMade }: { person: string; onMade: (made: MadeToken) => void }) {
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (e: FormEvent<HTMLFormElement>) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget);
    const days = Number(form.get('days') ?? 90);
    setBusy(true);
    setError(null);
    try {
      onMade(await post<MadeToken>('tokens', { person, note: String(form.get('note') ?? ''), lifetime: `${days}d` }));
      await client.invalidateQueries({ queryKey: ['tokens'] });
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(e) => void submit(e)}>
      <Stack>
        <Text size="sm">{t('settings.token_what')}</Text>
        <TextInput name="note" label={t('settings.note')} required data-autofocus />
        <TextInput name="days" type="number" min={1} max={365} defaultValue="90" label={t('settings.days')} required />
        {error !== null && <ProblemBox error={error} />}
        <Button type="submit" loading={busy}>
          {t('settings.make_token')}
        </Button>
      </Stack>
    </form>
  );
}

function Git() {
  const git = useQuery(queries.git());
  return (
    <Block title={t('settings.git')}>
      <Load query={git}>
        {(data) => (
          <Paper withBorder p="md">
            <Stack gap="sm">
              {data.drift.length === 0 ? (
                <Text size="sm">✓ {t('settings.no_drift')}</Text>
              ) : (
                data.drift.map((d) => (
                  <Alert key={d.text} color="orange" variant="outline">
                    <Say text={d.text} />
                  </Alert>
                ))
              )}
              {data.pending.length > 0 && <Text size="sm">{t('settings.pending', { what: data.pending.join(', ') })}</Text>}
              <Facts>
                <Fact label={t('settings.clone')}>
                  <Copyable value={data.clone_url} />
                </Fact>
                <Fact label={t('settings.head')}>
                  <Copyable value={data.head} />
                </Fact>
              </Facts>
            </Stack>
          </Paper>
        )}
      </Load>
    </Block>
  );
}

function Gateways() {
  const gateways = useQuery(queries.gateways());
  return (
    <Block title={t('settings.gateways')}>
      <Load query={gateways}>
        {(page) =>
          page.items.length === 0 ? (
            <Text c="dimmed">{t('settings.no_gateways')}</Text>
          ) : (
            <Table className="cards">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('settings.name')}</Table.Th>
                  <Table.Th>{t('settings.serves')}</Table.Th>
                  <Table.Th>{t('settings.seen')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {page.items.map((g) => (
                  <Table.Tr key={g.name}>
                    <Table.Td data-label={t('settings.name')}>{g.name}</Table.Td>
                    <Table.Td data-label={t('settings.serves')}>
                      <Badge variant="default" tt="none" className={g.serving === g.newest ? 'tone-good' : 'tone-warn'}>
                        {g.serving === g.newest ? t('settings.newest') : t('settings.behind', { n: g.serving, m: g.newest })}
                      </Badge>
                    </Table.Td>
                    <Table.Td data-label={t('settings.seen')}>
                      <When at={g.seen_at} />
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )
        }
      </Load>
    </Block>
  );
}

function About() {
  const who = useQuery(queries.whoami());
  const session = useSession();
  return (
    <Block title={t('settings.about')}>
      <Load query={who}>
        {(data) => (
          <Paper withBorder p="md">
            <Facts>
              <Fact label={t('settings.installation')}>{data.origin}</Fact>
              <Fact label={t('settings.environment')}>{data.environment}</Fact>
              {session.installation.version && <Fact label={t('settings.version')}>{session.installation.version}</Fact>}
              {data.gateway_url && <Fact label={t('settings.gateway_url')}>{data.gateway_url}</Fact>}
              <Fact label={t('settings.log_key')}>
                <Copyable value={data.log_key} />
              </Fact>
            </Facts>
            <Text size="sm" mt="sm">
              <Anchor href="emergency">{t('settings.emergency')}</Anchor>
            </Text>
          </Paper>
        )}
      </Load>
    </Block>
  );
}
