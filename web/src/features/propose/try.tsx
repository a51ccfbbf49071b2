// Try it: today's answer and the edited text's answer to one input, beside each other.
import { Button, NativeSelect, Paper, SimpleGrid, Stack, Text, Textarea, Title } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { Tries } from '../../api/types.ts';
import { Say } from '../../components/basics.tsx';
import { ProblemBox } from '../../components/load.tsx';
import { money } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import 'virtual:texts/try';

const OWN = 'own';

export function Try({ app, base, files }: { app: string; base: string; files: Record<string, string> }) {
  const client = useQueryClient();
  const offer = useQuery({ ...queries.offer(app), retry: false });
  const [chosen, setChosen] = useState('');
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState<Tries | null>(null);
  const [error, setError] = useState<unknown>(null);
  if (!offer.data) return null;
  const { examples, requests, left_today: left, limit } = offer.data;
  const choices = [
    ...examples.map((e) => ({ value: JSON.stringify({ example: { suite: e.suite, case: e.case } }), label: e.title })),
    ...requests.map((r) => ({ value: JSON.stringify({ request: r.id }), label: r.title })),
    { value: OWN, label: t('try.own') },
  ];
  const input = chosen || choices[0]?.value || OWN;
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      setSaid(
        await post<Tries>(`apps/${encodeURIComponent(app)}/try`, {
          files,
          base,
          bump: Object.keys(files).length > 0 ? 'patch' : undefined,
          input: input === OWN ? { text } : (JSON.parse(input) as object),
        }),
      );
      await client.invalidateQueries({ queryKey: ['try', app] });
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  const side = (label: string, one: Tries['new']) => (
    <div>
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <div className="answer-text" role="group" aria-label={label}>
        {one.text ?? one.error ?? '–'}
      </div>
      <Text size="xs" c="dimmed" mt={4}>
        {t('try.numbers', { ms: one.latency_ms, tokens: one.prompt_tokens + one.completion_tokens, cost: money(one.cost_usd) })}
      </Text>
    </div>
  );
  return (
    <section aria-label={t('try.title')}>
      <Title order={2} size="h4" mb="sm">
        {t('try.title')}
      </Title>
      <Paper withBorder p="md">
        <Stack gap="sm">
          <NativeSelect label={t('try.with')} data={choices} value={input} onChange={(e) => setChosen(e.currentTarget.value)} />
          {input === OWN && <Textarea label={t('try.text')} value={text} onChange={(e) => setText(e.currentTarget.value)} autosize minRows={2} />}
          <div>
            <Button variant="default" size="xs" onClick={() => void run()} loading={busy}>
              {t('try.run')}
            </Button>{' '}
            <Text span size="sm" c="dimmed">
              {t('try.left', { n: left, count: limit })}
            </Text>
          </div>
          {error !== null && <ProblemBox error={error} />}
          <div role="status" aria-live="polite">
            {said && (
              <Stack gap="xs">
                <Text size="sm" className="wrap">
                  <Say text={said.summary.text} />
                </Text>
                <SimpleGrid cols={{ base: 1, sm: 2 }}>
                  {side(t('try.today'), said.today)}
                  {side(t('try.new'), said.new)}
                </SimpleGrid>
              </Stack>
            )}
          </div>
        </Stack>
      </Paper>
    </section>
  );
}
