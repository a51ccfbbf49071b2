// The sheet of shortcuts and words.
import { Group, Kbd, Modal, Stack, Switch, Table, Text, Title } from '@mantine/core';
import { useState } from 'react';
import { t } from '../lib/i18n.ts';
import { read, write } from './basics.tsx';
import { KEYS_OFF } from './keys.tsx';
import { PAGES } from './pages.ts';
import 'virtual:texts/keys';
import 'virtual:texts/words';

const WORDS = ['candidate', 'today', 'check', 'go_back', 'kill', 'release', 'limit', 'number'] as const;

export function KeySheet({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const [off, setOff] = useState(read(KEYS_OFF) === '1');
  return (
    <Modal opened={opened} onClose={onClose} title={t('keys.title')} size="lg">
      <Stack>
        <Table>
          <Table.Tbody>
            {[
              ['/', t('keys.search')],
              ['?', t('keys.sheet')],
              ...PAGES.map((p) => [`g ${p.letter}`, t(`nav.${p.key}`)] as const),
            ].map(([keys, what]) => (
              <Table.Tr key={keys}>
                <Table.Td w={90}>
                  <Group gap={4}>
                    {(keys ?? '').split(' ').map((k) => (
                      <Kbd key={k}>{k}</Kbd>
                    ))}
                  </Group>
                </Table.Td>
                <Table.Td>{what}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        <Switch
          label={t('keys.off')}
          checked={off}
          onChange={(e) => {
            setOff(e.currentTarget.checked);
            write(KEYS_OFF, e.currentTarget.checked ? '1' : null);
          }}
        />
        <Title order={3} size="h5">
          {t('words.title')}
        </Title>
        {WORDS.map((word) => (
          <Text key={word} size="sm">
            <strong>{t(`words.${word}.name`)}</strong>: {t(`words.${word}.text`)}
          </Text>
        ))}
      </Stack>
    </Modal>
  );
}
