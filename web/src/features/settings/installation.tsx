// The installation: git, gateways, and what this is.
import { Alert, Anchor, Badge, Paper, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import * as queries from '../../api/queries.ts';
import { Copyable, Fact, Facts, Say, When } from '../../components/basics.tsx';
import { Block } from '../../components/block.tsx';
import { Load } from '../../components/load.tsx';
import { Rows } from '../../components/rows.tsx';
import { t } from '../../lib/i18n.ts';
import { useSession } from '../../lib/session.tsx';
import 'virtual:texts/settings';

export function Installation() {
  return (
    <>
      <Git />
      <Gateways />
      <About />
    </>
  );
}

/** What the server says to whoever watches it: `ready`, or why not. */
async function askHealth(): Promise<string> {
  const answer = await fetch(new URL('readyz', document.baseURI));
  return (await answer.text()).trim().slice(0, 200);
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
            <Rows
              items={page.items}
              id={(g) => g.name}
              columns={[
                [t('settings.name'), (g) => g.name],
                [
                  t('settings.serves'),
                  (g) => (
                    <Badge variant="default" tt="none" className={g.serving === g.newest ? 'tone-good' : 'tone-warn'}>
                      {g.serving === g.newest ? t('settings.newest') : t('settings.behind', { n: g.serving, m: g.newest })}
                    </Badge>
                  ),
                ],
                [t('settings.seen'), (g) => <When at={g.seen_at} />],
              ]}
            />
          )
        }
      </Load>
    </Block>
  );
}

function About() {
  const who = useQuery(queries.whoami());
  const session = useSession();
  const health = useQuery({ queryKey: ['health'], queryFn: askHealth, staleTime: 30_000 });
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
              <Fact label={t('settings.health')}>{health.data ?? '…'}</Fact>
              <Fact label={t('settings.log_key')}>
                <Copyable value={data.log_key} />
              </Fact>
            </Facts>
            <Text size="sm" mt="sm">
              <Anchor href="emergency">{t('settings.emergency')}</Anchor>
            </Text>
            <Text size="sm" mt={4}>
              {t('settings.licence')} <Anchor href="licences.txt">{t('settings.licences')}</Anchor>
            </Text>
          </Paper>
        )}
      </Load>
    </Block>
  );
}
