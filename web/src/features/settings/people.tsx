// People and their roles.
import { Button, Checkbox, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import { Block } from '../../components/block.tsx';
import { Form } from '../../components/form.tsx';
import { Load } from '../../components/load.tsx';
import { Rows } from '../../components/rows.tsx';
import { t } from '../../lib/i18n.ts';
import { hasRole, useSession } from '../../lib/session.tsx';
import { OneTimeLink } from './myself.tsx';
import 'virtual:texts/role_does';
import 'virtual:texts/settings';

const ROLES = ['editor', 'approver', 'finance', 'operator', 'auditor', 'admin', 'agent'];

export function People() {
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
          <Rows
            items={page.items}
            id={(p) => p.name}
            columns={[
              [t('settings.name'), (p) => p.display || p.name],
              [t('settings.login'), (p) => p.name],
              [t('settings.roles'), (p) => p.roles.map((r) => t(`role.${r}`, { defaultValue: r })).join(', ')],
              admin && [t('home.do'), (p) => <OneTimeLink person={p.name} label={t('settings.link')} name={t('settings.link_for', { name: p.display || p.name })} />],
            ]}
          />
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
  return (
    <Form
      label={t('settings.add_person')}
      send={async (word) => {
        await post('people', { name: word('name'), display: word('display'), email: word('email'), roles });
        await client.invalidateQueries({ queryKey: ['people'] });
        onDone();
      }}
    >
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
    </Form>
  );
}
