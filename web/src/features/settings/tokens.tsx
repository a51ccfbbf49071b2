// Tokens: who acts with which, until when.
import { Alert, Button, Code, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { call, post } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { MadeToken, Token } from '../../api/types.ts';
import { ActionButton, Done } from '../../components/act.tsx';
import { Copyable, When } from '../../components/basics.tsx';
import { Block } from '../../components/block.tsx';
import { Form } from '../../components/form.tsx';
import { Load } from '../../components/load.tsx';
import { Rows } from '../../components/rows.tsx';
import { t } from '../../lib/i18n.ts';
import { useSession } from '../../lib/session.tsx';
import 'virtual:texts/settings';

export function Tokens() {
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
          <Rows
            items={page.items}
            id={(token) => token.id}
            columns={[
              [t('settings.token'), (token) => <Code>{token.id}</Code>],
              [t('settings.scope'), (token) => scope(token)],
              [t('settings.note'), (token) => token.note || '–'],
              [t('settings.expires'), (token) => <When at={token.expires_at} />],
              [
                t('home.do'),
                (token) => (
                  <ActionButton
                    action={{ kind: 'revoke', enabled: true, consequence: t('settings.revoke_what') }}
                    ask={{
                      label: t('settings.revoke'),
                      busy: t('act.working'),
                      size: 'xs',
                      title: t('settings.revoke_title', { id: token.id }),
                      tone: 'bad',
                    }}
                    run={() => revoke(token)}
                  />
                ),
              ],
            ]}
          />
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
  return (
    <Form
      label={t('settings.make_token')}
      send={async (word) => {
        onMade(await post<MadeToken>('tokens', { person, note: word('note'), lifetime: `${Number(word('days') || 90)}d` }));
        await client.invalidateQueries({ queryKey: ['tokens'] });
      }}
    >
      <Text size="sm">{t('settings.token_what')}</Text>
      <TextInput name="note" label={t('settings.note')} required data-autofocus />
      <TextInput name="days" type="number" min={1} max={365} defaultValue="90" label={t('settings.days')} required />
    </Form>
  );
}
