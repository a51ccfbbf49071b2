// How people are told: one's own choice, the channels, what a message looks like, what went wrong.
import { ActionIcon, Alert, Badge, Button, Checkbox, Group, Modal, NativeSelect, Paper, Stack, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconTrash } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { call, post } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { Channel, Delivery, Preferences } from '../../api/types.ts';
import { Done } from '../../components/act.tsx';
import { Copyable, Say, When } from '../../components/basics.tsx';
import { Block } from '../../components/block.tsx';
import { Form } from '../../components/form.tsx';
import { Empty, Load, ProblemBox } from '../../components/load.tsx';
import { Rows } from '../../components/rows.tsx';
import { t } from '../../lib/i18n.ts';
import { useTopic } from '../../lib/live-context.tsx';
import { hasRole, useSession } from '../../lib/session.tsx';
import 'virtual:texts/notify';

const EVENTS = ['needs_approval', 'checks_failed', 'paused', 'went_back', 'killed', 'promoted', 'incident', 'budget'] as const;
const KINDS = ['webhook', 'slack', 'email'] as const;
const MODES = ['at_once', 'hourly', 'off'] as const;
const event = (name: string) => t(`notify.event_${name}`, { defaultValue: name });
const kind = (name: string) => t(`notify.kind_${name}`, { defaultValue: name });

export function Notifications() {
  const admin = hasRole(useSession(), 'admin');
  useTopic('notifications');
  return (
    <Stack gap="xl">
      <Mine />
      <Channels admin={admin} />
      <Preview />
      <Deliveries admin={admin} />
    </Stack>
  );
}

function Mine() {
  const preferences = useQuery(queries.preferences());
  return (
    <Block title={t('notify.mine')}>
      <Load query={preferences}>{(data) => <Choose now={data} />}</Load>
    </Block>
  );
}

function Choose({ now }: { now: Preferences }) {
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const [done, setDone] = useState<string | null>(null);
  const save = async (body: { mode?: string; events?: Record<string, string> }) => {
    setError(null);
    setDone(null);
    try {
      await call('PUT', 'notifications/preferences', { body });
      setDone(t('notify.saved'));
      await client.invalidateQueries({ queryKey: ['notifications', 'preferences'] });
    } catch (e) {
      setError(e);
    }
  };
  const modes = MODES.map((value) => ({ value, label: t(`notify.mode_${value}`) }));
  return (
    <Paper withBorder p="md">
      <Stack gap="sm">
        <Text size="sm">{now.email ? t('notify.to', { email: now.email }) : t('notify.no_email')}</Text>
        <NativeSelect label={t('notify.all')} data={modes} value={now.mode} onChange={(e) => void save({ mode: e.currentTarget.value })} maw={320} />
        <details>
          <summary>{t('notify.each')}</summary>
          <Rows
            items={[...EVENTS]}
            id={(e) => e}
            columns={[
              [t('notify.event'), (e) => event(e)],
              [
                t('notify.when'),
                (e) =>
                  now.always.includes(e) ? (
                    t('notify.always')
                  ) : (
                    <NativeSelect
                      aria-label={t('notify.when_of', { event: event(e) })}
                      data={[{ value: '', label: t('notify.as_all') }, ...modes]}
                      value={now.events[e] ?? ''}
                      onChange={(x) => {
                        const { [e]: _old, ...rest } = now.events as Record<string, string>;
                        const chosen = x.currentTarget.value;
                        void save({ events: chosen ? { ...rest, [e]: chosen } : rest });
                      }}
                      maw={260}
                    />
                  ),
              ],
            ]}
          />
        </details>
        {error !== null && <ProblemBox error={error} />}
        <Done text={done} />
      </Stack>
    </Paper>
  );
}

const TONE: Record<string, string> = { ok: 'good', failing: 'bad', disabled: 'none', unused: 'info' };

function Channels({ admin }: { admin: boolean }) {
  const channels = useQuery(queries.channels());
  const [opened, dialog] = useDisclosure(false);
  const [secret, setSecret] = useState<string | null>(null);
  const close = () => {
    dialog.close();
    setSecret(null);
  };
  return (
    <Block
      title={t('notify.channels')}
      side={
        admin && (
          <Button size="xs" variant="default" onClick={dialog.open}>
            {t('notify.add')}
          </Button>
        )
      }
    >
      <Load query={channels}>
        {(page) =>
          !page || page.items.length === 0 ? (
            <Empty text={t('notify.no_channels')} />
          ) : (
            <Rows
              items={page.items}
              id={(c) => c.id}
              columns={[
                [
                  t('notify.channel'),
                  (c) => (
                    <>
                      <strong>{c.name}</strong> {kind(c.kind)}
                      <Text size="xs" c="dimmed">
                        {c.target}
                      </Text>
                    </>
                  ),
                ],
                [
                  t('notify.state'),
                  (c) => (
                    <>
                      <Badge variant="default" tt="none" className={`tone-${TONE[c.state] ?? 'none'}`}>
                        {t(`notify.state_${c.state}`)}
                      </Badge>
                      <Text size="xs" c="dimmed">
                        <Say text={c.state_text.text} />
                      </Text>
                    </>
                  ),
                ],
                [t('notify.tells'), (c) => (c.events.length > 0 ? c.events.map(event).join(', ') : t('notify.everything'))],
                [t('notify.of'), (c) => (c.apps.length > 0 ? c.apps.join(', ') : t('notify.all_apps'))],
                admin && [t('home.do'), (c) => <ChannelActions channel={c} />],
              ]}
            />
          )
        }
      </Load>
      <Modal opened={opened} onClose={close} title={t('notify.add')}>
        {secret ? (
          <Stack>
            <Alert variant="outline" color="orange" title={t('notify.secret_once')}>
              <Copyable value={secret} />
            </Alert>
            <Button onClick={close}>{t('common.close')}</Button>
          </Stack>
        ) : (
          <AddChannel onDone={(made) => (made ? setSecret(made) : close())} />
        )}
      </Modal>
    </Block>
  );
}

function ChannelActions({ channel }: { channel: Channel }) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState<{ ok: boolean; text: string } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const run = async (act: () => Promise<void>) => {
    setBusy(true);
    setError(null);
    try {
      await act();
      await client.invalidateQueries({ queryKey: ['notifications'] });
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Stack gap={6}>
      <Group gap="xs">
        <Button
          size="xs"
          variant="default"
          loading={busy}
          aria-label={t('notify.test_of', { name: channel.name })}
          onClick={() => void run(async () => setSaid(await post(`notifications/channels/${channel.id}/test`, {})))}
        >
          {t('notify.test')}
        </Button>
        <ActionIcon
          variant="default"
          size={30}
          aria-label={t('notify.remove', { name: channel.name })}
          onClick={() => void run(() => call('DELETE', `notifications/channels/${channel.id}`, { ifMatch: channel.version }))}
        >
          <IconTrash size={16} aria-hidden />
        </ActionIcon>
      </Group>
      <Text size="xs" role="status" className={`wrap ${said?.ok === false ? 'mark-fail' : ''}`}>
        {said && `${said.ok ? '✓' : '✕'} ${said.text}`}
      </Text>
      {error !== null && <ProblemBox error={error} />}
    </Stack>
  );
}

function AddChannel({ onDone }: { onDone: (secret?: string) => void }) {
  const client = useQueryClient();
  const [way, setWay] = useState<string>('webhook');
  const [events, setEvents] = useState<string[]>([]);
  return (
    <Form
      label={t('notify.add')}
      send={async (word) => {
        const email = { host: word('host'), port: Number(word('port')) || undefined, login: word('login') || undefined, from: word('from') };
        const made = await post<{ secret?: string }>('notifications/channels', {
          kind: way,
          name: word('name'),
          events,
          allow_private: word('private') === 'on' || undefined,
          secret: word('secret') || undefined,
          ...(way === 'email' ? { email } : { url: word('url') }),
        });
        await client.invalidateQueries({ queryKey: ['notifications'] });
        onDone(made.secret);
      }}
    >
      <NativeSelect label={t('notify.kind')} data={KINDS.map((value) => ({ value, label: kind(value) }))} value={way} onChange={(e) => setWay(e.currentTarget.value)} />
      <TextInput name="name" label={t('notify.name')} required />
      {way === 'email' ? (
        <>
          <TextInput name="host" label={t('notify.host')} required />
          <TextInput name="port" type="number" label={t('notify.port')} defaultValue="587" />
          <TextInput name="from" type="email" label={t('notify.from')} required />
          <TextInput name="login" label={t('notify.login')} />
        </>
      ) : (
        <>
          <TextInput name="url" label={t('notify.url')} description={t('notify.url_help')} required />
          <Checkbox name="private" label={t('notify.private')} />
        </>
      )}
      {way !== 'slack' && <TextInput name="secret" label={t('notify.secret')} description={t(way === 'email' ? 'notify.secret_email' : 'notify.secret_help')} autoComplete="off" />}
      <Checkbox.Group label={t('notify.tells')} description={t('notify.tells_help')} value={events} onChange={setEvents}>
        <Stack gap={6} mt={4}>
          {EVENTS.map((e) => (
            <Checkbox key={e} value={e} label={event(e)} />
          ))}
        </Stack>
      </Checkbox.Group>
    </Form>
  );
}

function Preview() {
  const [what, setWhat] = useState<string>('paused');
  const [by, setBy] = useState<string>('email');
  const preview = useQuery(queries.messagePreview({ event: what, channel: by }));
  return (
    <Block title={t('notify.preview')}>
      <Group mb="sm">
        <NativeSelect label={t('notify.event')} data={EVENTS.map((value) => ({ value, label: event(value) }))} value={what} onChange={(e) => setWhat(e.currentTarget.value)} />
        <NativeSelect label={t('notify.kind')} data={KINDS.map((value) => ({ value, label: kind(value) }))} value={by} onChange={(e) => setBy(e.currentTarget.value)} />
      </Group>
      <Load query={preview}>
        {(data) => (
          <Paper withBorder p="md">
            <Text fw={600} className="wrap">
              {data.subject}
            </Text>
            <Text size="sm" className="wrap">
              <Say text={data.text} />
            </Text>
            <details className="technical">
              <summary>{t('notify.exactly')}</summary>
              <pre className="raw" tabIndex={0} aria-label={t('notify.exactly')}>
                {Object.entries(data.headers)
                  .map(([name, value]) => `${name}: ${value}\n`)
                  .join('')}
                {data.body}
              </pre>
            </details>
          </Paper>
        )}
      </Load>
    </Block>
  );
}

function Deliveries({ admin }: { admin: boolean }) {
  const [only, setOnly] = useState('');
  const client = useQueryClient();
  const deliveries = useQuery(queries.deliveries({ state: only || undefined }));
  const [error, setError] = useState<unknown>(null);
  const again = async (d: Delivery) => {
    setError(null);
    try {
      await post(`notifications/deliveries/${d.id}/redeliver`, {});
      await client.invalidateQueries({ queryKey: ['notifications'] });
    } catch (e) {
      setError(e);
    }
  };
  const states = ['waiting', 'held', 'sent', 'dead', 'dropped'];
  return (
    <Block title={t('notify.messages')}>
      <NativeSelect
        label={t('notify.state')}
        data={[{ value: '', label: t('common.all') }, ...states.map((value) => ({ value, label: t(`notify.sent_${value}`) }))]}
        value={only}
        onChange={(e) => setOnly(e.currentTarget.value)}
        maw={240}
        mb="sm"
      />
      {error !== null && <ProblemBox error={error} />}
      <Load query={deliveries}>
        {(page) =>
          page.items.length === 0 ? (
            <Text c="dimmed">{t('notify.no_messages')}</Text>
          ) : (
            <Rows
              items={page.items}
              id={(d) => d.id}
              columns={[
                [t('notify.message'), (d) => d.subject],
                [t('notify.channel'), (d) => (d.to ? `${d.channel_name} → ${d.to}` : d.channel_name)],
                [
                  t('notify.state'),
                  (d) => (
                    <>
                      {t(`notify.sent_${d.state}`)}
                      {d.folded > 0 && ` ${t('notify.folded', { count: d.folded })}`}
                      {d.error && (
                        <Text size="xs" className="wrap">
                          {d.error}
                        </Text>
                      )}
                    </>
                  ),
                ],
                [t('notify.at'), (d) => <When at={d.created_at} />],
                admin && [
                  t('home.do'),
                  (d) =>
                    (d.state === 'dead' || d.state === 'sent') && (
                      <Button size="xs" variant="default" onClick={() => void again(d)} aria-label={t('notify.again_of', { subject: d.subject })}>
                        {t('notify.again')}
                      </Button>
                    ),
                ],
              ]}
            />
          )
        }
      </Load>
    </Block>
  );
}
