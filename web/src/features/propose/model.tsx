// Which model answers: cards with what it costs and how fast it is for this very app.
import { Badge, Group, Radio, SimpleGrid, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import * as queries from '../../api/queries.ts';
import type { AppFiles, ModelEntry } from '../../api/types.ts';
import { money } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import 'virtual:texts/model';

const MODEL = /^model:[ \t]*(\S+)[ \t]*$/m;
const isComposition = (path: string) => path.endsWith('/release.yaml');

function composition(base: AppFiles, texts: Record<string, string>) {
  const file = base.files.find((f) => isComposition(f.path));
  return file ? { path: file.path, text: texts[file.path] ?? file.text } : null;
}

/** The model a draft would use. */
export function modelOf(base: AppFiles, texts: Record<string, string>): string | null {
  return MODEL.exec(composition(base, texts)?.text ?? '')?.[1] ?? null;
}

/** The file that names the model, with another name in it. */
export function withModel(base: AppFiles, texts: Record<string, string>, name: string) {
  const file = composition(base, texts);
  return file && MODEL.test(file.text) ? { path: file.path, text: file.text.replace(MODEL, `model: ${name}`) } : null;
}

export function ModelPicker({ app, now, chosen, onChoose }: { app: string; now: string | null; chosen: string | null; onChoose: (name: string) => void }) {
  const models = useQuery(queries.models(app));
  const list = models.data?.items ?? [];
  if (!now || list.length < 2) return null;
  return (
    <Radio.Group label={t('model.title')} value={chosen} onChange={onChoose}>
      <SimpleGrid cols={{ base: 1, sm: 2 }} mt="sm" spacing="xs">
        {list.map((m) => (
          <Card key={m.name} model={m} live={m.current} />
        ))}
      </SimpleGrid>
    </Radio.Group>
  );
}

function Card({ model, live }: { model: ModelEntry; live: boolean }) {
  const price = model.price_per_1000 == null ? t('model.no_price') : t('model.price', { price: money(model.price_per_1000) });
  const speed =
    model.p50_ms == null ? t('model.not_measured') : t('model.speed', { p50: Math.round(model.p50_ms), slow: Math.round(model.p95_ms ?? model.p50_ms) });
  return (
    <Radio.Card value={model.name} p="sm" disabled={model.allowed === false} aria-label={[model.name, price, speed].join(', ')}>
      <Group wrap="nowrap" align="flex-start">
        <Radio.Indicator disabled={model.allowed === false} />
        <div>
          <Text size="sm" fw={600} className="wrap">
            {model.name}{' '}
            {live && (
              <Badge variant="default" tt="none" className="tone-good">
                {t('model.live')}
              </Badge>
            )}
          </Text>
          <Text size="sm" c="dimmed">
            {price} · {speed}
            {model.context ? ` · ${t('model.context', { count: model.context })}` : ''}
            {model.region ? ` · ${model.region}` : ''}
          </Text>
          {model.why_not && (
            <Text size="sm" className="wrap">
              {model.why_not}
            </Text>
          )}
        </div>
      </Group>
    </Radio.Card>
  );
}
