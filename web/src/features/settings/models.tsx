// Which models there are, by who serves them, and what they cost.
import { Badge, Group, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import * as queries from '../../api/queries.ts';
import type { ModelEntry } from '../../api/types.ts';
import { Block } from '../../components/block.tsx';
import { Empty, Load } from '../../components/load.tsx';
import { Rows } from '../../components/rows.tsx';
import { money } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import 'virtual:texts/models';

export function Models() {
  const models = useQuery(queries.allModels());
  return (
    <Load query={models}>
      {(page) => {
        const providers = [...new Set(page.items.map((m) => m.provider))].sort();
        if (providers.length === 0) return <Empty text={t('models.none')} />;
        return (
          <Stack gap="xl">
            <Text size="sm" c="dimmed">
              {t('models.how')}
            </Text>
            {providers.map((provider) => (
              <Block key={provider} title={t(`models.provider_${provider}`, { defaultValue: provider })}>
                <Provider models={page.items.filter((m) => m.provider === provider)} />
              </Block>
            ))}
          </Stack>
        );
      }}
    </Load>
  );
}

function Provider({ models }: { models: ModelEntry[] }) {
  const price = (value: number | null) => (value === null ? t('models.no_price') : money(value));
  return (
    <Rows
      items={models}
      id={(m) => m.name + m.version}
      columns={[
        [
          t('models.model'),
          (m) => (
            <>
              <strong>{m.name}</strong>@{m.version}
              <Text size="xs" c="dimmed">
                {m.provider_model}
              </Text>
            </>
          ),
        ],
        [t('models.asked'), (m) => price(m.price_input_per_million)],
        [t('models.answered'), (m) => price(m.price_output_per_million)],
        [t('models.room'), (m) => t('models.tokens', { count: m.context })],
        [t('models.region'), (m) => m.region ?? '–'],
        [
          t('models.notes'),
          (m) => (
            <Group gap={6}>
              {m.deprecated_on && (
                <Badge variant="default" tt="none" className="tone-warn">
                  {t('models.ends', { day: m.deprecated_on })}
                </Badge>
              )}
              {[...m.tags, ...Object.entries(m.labels).map(([k, v]) => `${k}: ${v}`)].map((word) => (
                <Badge key={word} variant="default" tt="none">
                  {word}
                </Badge>
              ))}
            </Group>
          ),
        ],
      ]}
    />
  );
}
