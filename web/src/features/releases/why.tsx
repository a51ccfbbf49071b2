// Why did this request answer so? One paste, one page.
import { Alert, Anchor, Button, Group, Paper, Stack, Text, TextInput, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import type { FormEvent } from 'react';
import * as queries from '../../api/queries.ts';
import type { Why } from '../../api/types.ts';
import { Copyable, Fact, Facts, PageTitle, ReleaseLink, Say, Technical, When } from '../../components/basics.tsx';
import { Differences } from '../../components/differences.tsx';
import { DiffView } from '../../components/diff.tsx';
import { Empty, Load } from '../../components/load.tsx';
import { RequestTable } from '../../components/requests.tsx';
import { changeNumber, money } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import 'virtual:texts/fallback';
import 'virtual:texts/message';
import 'virtual:texts/why';

export function WhyPage() {
  const { id } = useParams({ strict: false });
  const navigate = useNavigate();
  const submit = (e: FormEvent<HTMLFormElement>) => {
    e.preventDefault();
    const asked = String(new FormData(e.currentTarget).get('id') ?? '').trim();
    if (asked) void navigate({ to: '/requests/$id', params: { id: asked } });
  };
  return (
    <>
      <PageTitle title={t('why.title')} />
      <form onSubmit={submit} key={id}>
        <Group align="flex-end" mb="lg">
          <TextInput name="id" label={t('why.id')} placeholder="req_…" defaultValue={id ?? ''} className="grow" miw={0} />
          <Button type="submit">{t('why.explain')}</Button>
        </Group>
      </form>
      {id ? <Explained id={id} /> : <Recent />}
    </>
  );
}

function Recent() {
  const requests = useQuery(queries.requests({}));
  return (
    <Load query={requests}>
      {(page) =>
        page.items.length === 0 ? (
          <Empty text={t('why.none')} />
        ) : (
          <section>
            <Title order={2} size="h4" mb="sm">
              {t('why.recent')}
            </Title>
            <RequestTable requests={page.items} withApp />
          </section>
        )
      }
    </Load>
  );
}

function Explained({ id }: { id: string }) {
  const why = useQuery(queries.explain(id));
  return <Load query={why}>{(data) => <Answer why={data} />}</Load>;
}

interface Message {
  role: string;
  content: string;
}

/** The rendered messages, if they are kept and readable. */
export function messages(prompt: string | null | undefined): Message[] {
  if (!prompt) return [];
  try {
    const list: unknown = JSON.parse(prompt);
    if (Array.isArray(list)) {
      return list.filter((m): m is Message => typeof m?.role === 'string' && typeof m?.content === 'string');
    }
  } catch {
    // Shown as it is.
  }
  return [{ role: 'text', content: prompt }];
}

function Answer({ why }: { why: Why }) {
  const { served } = why;
  return (
    <Stack gap="lg">
      <Paper withBorder p="md" className="verdict-box box-well">
        <Text className="wrap" data-testid="why">
          <Say text={why.summary.text} />
        </Text>
        {why.outcome && (
          <Text size="sm" mt="xs" className="wrap">
            <Say text={why.outcome.text} />
          </Text>
        )}
      </Paper>
      <Paper withBorder p="md">
        <Facts>
          <Fact label={t('home.app')}>{served.app}</Fact>
          <Fact label={t('why.at')}>
            <When at={served.at} />
          </Fact>
          <Fact label={t('why.served')}>
            <ReleaseLink id={served.release} />
          </Fact>
          <Fact label={t('why.last_good')}>
            <ReleaseLink id={why.last_good?.id} />
          </Fact>
          <Fact label={t('why.took')}>{Math.round(served.latency_us / 1000)} ms</Fact>
          <Fact label={t('why.cost')}>{money(served.cost_nano_usd / 1e9)}</Fact>
          <Fact label={t('why.model')}>{served.served_model ?? '–'}</Fact>
          <Fact label={t('why.fallback')}>{t(`fallback.${served.fallback}`, { defaultValue: served.fallback })}</Fact>
          {why.change && (
            <Fact label={t('why.change')}>
              <Anchor renderRoot={(p) => <Link to="/changes/$id" params={{ id: why.change?.replace('ch-', '') ?? '' }} {...p} />} inherit>
                {changeNumber(why.change)}
              </Anchor>
            </Fact>
          )}
        </Facts>
      </Paper>
      <section aria-label={t('why.differs')}>
        <Title order={2} size="h4" mb="sm">
          {t('why.differs')}
        </Title>
        <Differences list={why.differences} before={t('why.last_good')} after={t('why.served')} />
        <Stack mt="sm">
          {Object.entries(why.texts).map(([kind, text]) => (
            <DiffView key={kind} text={text} />
          ))}
        </Stack>
      </section>
      <section aria-label={t('why.texts')}>
        <Title order={2} size="h4" mb="sm">
          {t('why.texts')}
        </Title>
        {served.prompt || served.answer ? (
          <Stack gap="sm">
            {messages(served.prompt).map((m, i) => (
              <Paper withBorder p="sm" key={`${i}-${m.role}`}>
                <Text size="xs" c="dimmed">
                  {t(`message.${m.role}`, { defaultValue: m.role })}
                </Text>
                <Text size="sm" className="pre">
                  {m.content}
                </Text>
              </Paper>
            ))}
            <Paper withBorder p="sm" className="answer">
              <Text size="xs" c="dimmed">
                {t('why.answer')}
              </Text>
              <Text size="sm" className="pre">
                {served.answer ?? '–'}
              </Text>
            </Paper>
            {why.shadow?.answer && (
              <Paper withBorder p="sm">
                <Text size="xs" c="dimmed">
                  {t('why.shadow')}
                </Text>
                <Text size="sm" className="pre">
                  {why.shadow.answer}
                </Text>
              </Paper>
            )}
          </Stack>
        ) : (
          <Alert variant="outline" color="gray" className="plain-alert">
            {t('why.removed')}
          </Alert>
        )}
      </section>
      {why.feedback.length > 0 && (
        <section aria-label={t('why.feedback')}>
          <Title order={2} size="h4" mb="sm">
            {t('why.feedback')}
          </Title>
          <ul>
            {why.feedback.map((f) => (
              <li key={`${f.name}${f.at}`}>
                <Text size="sm">
                  {f.name}: {f.value} <When at={f.at} />
                </Text>
              </li>
            ))}
          </ul>
        </section>
      )}
      <Paper withBorder p="md">
        <Technical>
          <Facts>
            <Fact label={t('why.request')}>
              <Copyable value={why.id} />
            </Fact>
            <Fact label={t('why.bucket')}>{served.bucket}</Fact>
            <Fact label={t('why.arm')}>{served.arm}</Fact>
            <Fact label={t('why.gateway')}>{served.gateway}</Fact>
            <Fact label={t('why.tokens')}>{`${served.prompt_tokens} + ${served.completion_tokens}`}</Fact>
            {why.commit && (
              <Fact label={t('common.commit')}>
                <Copyable value={why.commit} />
              </Fact>
            )}
          </Facts>
        </Technical>
      </Paper>
    </Stack>
  );
}
