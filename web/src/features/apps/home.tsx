// Home: what needs me, and how every app is.
import { Anchor, Badge, Button, Group, Paper, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import * as queries from '../../api/queries.ts';
import type { App, Rollout } from '../../api/types.ts';
import { PageTitle, ReleaseLink, Say, VerdictWord, When } from '../../components/basics.tsx';
import { ShareBar } from '../../components/share.tsx';
import { Empty, Load } from '../../components/load.tsx';
import { Rows } from '../../components/rows.tsx';
import { inboxItems, pathOf } from '../../lib/inbox.ts';
import { t } from '../../lib/i18n.ts';
import { hasRole, useSession } from '../../lib/session.tsx';
import { verdictOf } from '../../lib/verdict.ts';

export function Home() {
  const apps = useQuery(queries.apps());
  return (
    <>
      <PageTitle title={t('nav.home')} />
      <Stack gap="xl">
        <NeedsMe />
        <section aria-label={t('home.apps')}>
          <Title order={2} size="h4" mb="sm">
            {t('home.apps')}
          </Title>
          <Load query={apps}>{(page) => (page.items.length === 0 ? <Empty text={t('home.no_apps')} /> : <Apps apps={page.items} />)}</Load>
        </section>
      </Stack>
    </>
  );
}

function NeedsMe() {
  const inbox = useQuery(queries.inbox());
  const items = inboxItems(inbox.data);
  return (
    <section aria-label={t('home.needs')} id="needs-you">
      <Title order={2} size="h4" mb="sm">
        {t('home.needs')}
      </Title>
      <Load query={inbox}>
        {() =>
          items.length === 0 ? (
            <Text c="dimmed">{t('home.nothing')}</Text>
          ) : (
            <Stack gap="xs" component="ul" className="plain-list">
              {items.map((item) => (
                <Paper key={item.url + item.kind} component="li" withBorder p="sm" className="needs">
                  <Anchor renderRoot={(p) => <Link to={pathOf(item.url)} {...p} />} fw={600} className="wrap">
                    <Say text={item.text} />
                  </Anchor>
                  <Text size="xs" c="dimmed">
                    <When at={item.at} />
                  </Text>
                </Paper>
              ))}
            </Stack>
          )
        }
      </Load>
    </section>
  );
}

function Apps({ apps }: { apps: App[] }) {
  const live = useQuery(queries.rollouts({ state: 'active' }));
  const session = useSession();
  const propose = hasRole(session, 'editor', 'approver', 'operator', 'admin');
  const of = (app: App) => live.data?.items.find((r) => r.id === app.rollout);
  return (
    <Rows
      items={apps}
      id={(app) => app.name}
      columns={[
        [
          t('home.app'),
          (app) => (
            <div>
              <Anchor renderRoot={(p) => <Link to="/apps/$app" params={{ app: app.name }} {...p} />} fw={600}>
                {app.name}
              </Anchor>
              <Text size="xs" c="dimmed">
                {t('home.owner', { owner: app.owner, risk: t(`risk.${app.risk}`, { defaultValue: app.risk }) })}
              </Text>
            </div>
          ),
        ],
        [t('home.state'), (app) => <Health app={app} rollout={of(app)} />],
        [
          t('home.production'),
          (app) => (
            <div>
              <ReleaseLink id={app.production} />
              <Text size="xs" c="dimmed" className="wrap">
                {[app.labels.prompt, app.labels.model].filter(Boolean).join(' · ')}
              </Text>
            </div>
          ),
        ],
        [t('home.rollout'), (app) => <Trial app={app} rollout={of(app)} />],
        propose && [
          t('home.do'),
          (app) => (
            <Button
              size="xs"
              variant="default"
              renderRoot={(p) => <Link to="/apps/$app/propose" params={{ app: app.name }} {...p} />}
              aria-label={t('home.propose_for', { app: app.name })}
            >
              {t('home.propose')}
            </Button>
          ),
        ],
      ]}
    />
  );
}

function Health({ app, rollout }: { app: App; rollout?: Rollout }) {
  if (app.killed) return <VerdictWord verdict="stopped" />;
  if (rollout) return <VerdictWord verdict={verdictOf(rollout)} />;
  return (
    <Badge variant="default" tt="none" className="tone-good">
      {t('home.steady')}
    </Badge>
  );
}

function Trial({ app, rollout }: { app: App; rollout?: Rollout }) {
  if (!app.rollout) {
    return (
      <Text size="sm" c="dimmed">
        {app.experiment ? t('home.experiment', { id: app.experiment }) : t('home.no_rollout')}
      </Text>
    );
  }
  return (
    <Group gap="xs" className="trial">
      <Anchor renderRoot={(p) => <Link to="/rollouts/$id" params={{ id: app.rollout ?? '' }} {...p} />} size="sm" className="wrap">
        {rollout?.title ?? app.rollout}
      </Anchor>
      {rollout && <ShareBar weight={rollout.exposure.weight} shadow={rollout.exposure.shadow} small />}
    </Group>
  );
}
