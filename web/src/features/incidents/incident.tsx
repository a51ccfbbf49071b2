// One incident: what happened, what it cost, where to look first, and why a person acted.
import { Alert, Anchor, Button, Paper, Stack, Text, Textarea, Title } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import { post } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { Incident } from '../../api/types.ts';
import { Done } from '../../components/act.tsx';
import { Copyable, Fact, Facts, PageTitle, ReleaseLink, Say, Technical, When } from '../../components/basics.tsx';
import { Differences } from '../../components/differences.tsx';
import { Load, ProblemBox } from '../../components/load.tsx';
import { RequestTable } from '../../components/requests.tsx';
import { span } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import 'virtual:texts/incidents';

export function IncidentPage() {
  const { id } = useParams({ from: '/incidents/$id' });
  const incident = useQuery(queries.incident(id));
  const title = incident.data
    ? `${t(`incident.${incident.data.kind}`, { defaultValue: incident.data.kind })} (${incident.data.id})`
    : id;
  return (
    <>
      <PageTitle title={title} app={incident.data?.app} />
      <Load query={incident}>{(data) => <Detail incident={data} />}</Load>
    </>
  );
}

function Detail({ incident }: { incident: Incident }) {
  return (
    <Stack gap="lg">
      <Paper withBorder p="md" className="verdict-box box-back">
        <Text className="wrap">
          <Say text={incident.what.text} />
        </Text>
      </Paper>
      {incident.opened_by && !incident.reason && <Reason incident={incident} />}
      <Paper withBorder p="md">
        <Facts>
          <Fact label={t('home.app')}>
            <Anchor renderRoot={(p) => <Link to="/apps/$app" params={{ app: incident.app }} {...p} />} inherit>
              {incident.app}
            </Anchor>
          </Fact>
          <Fact label={t('incidents.opened')}>
            <When at={incident.opened_at} /> {t('incidents.by_whom', { who: incident.opened_by ?? t('actor.controller') })}
          </Fact>
          <Fact label={t('incidents.answered')}>{incident.requests_exposed.toLocaleString('en')}</Fact>
          <Fact label={t('incidents.harmed')}>{incident.requests_harmed.toLocaleString('en')}</Fact>
          {incident.swing_back && <Fact label={t('live.swing')}>{span(incident.swing_back)}</Fact>}
          {incident.rollout && (
            <Fact label={t('live.rollout')}>
              <Anchor renderRoot={(p) => <Link to="/rollouts/$id" params={{ id: incident.rollout ?? '' }} {...p} />} inherit>
                {incident.rollout}
              </Anchor>
            </Fact>
          )}
          <Fact label={t('incidents.state')}>{incident.closed_at ? t('incidents.closed') : t('incidents.open')}</Fact>
          {incident.reason && <Fact label={t('incidents.reason')}>{incident.reason}</Fact>}
        </Facts>
      </Paper>
      <section aria-label={t('incidents.suspects')}>
        <Title order={2} size="h4" mb="sm">
          {t('incidents.suspects')}
        </Title>
        <Text size="sm" mb="sm">
          {t('incidents.compare')} <ReleaseLink id={incident.suspect} /> {t('incidents.with')} <ReleaseLink id={incident.restored} />
        </Text>
        <Differences list={incident.differences} />
      </section>
      <Requests incident={incident} />
      {incident.revert_commit && (
        <Paper withBorder p="md">
          <Technical>
            <Facts>
              <Fact label={t('change.reverted')}>
                <Copyable value={incident.revert_commit} />
              </Fact>
            </Facts>
          </Technical>
        </Paper>
      )}
    </Stack>
  );
}

function Reason({ incident }: { incident: Incident }) {
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const [done, setDone] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (e: FormEvent<HTMLFormElement>) => {
    e.preventDefault();
    const reason = String(new FormData(e.currentTarget).get('reason') ?? '').trim();
    setBusy(true);
    setError(null);
    try {
      await post(`incidents/${incident.id}/reason`, { reason });
      setDone(t('incidents.reason_saved'));
      await client.invalidateQueries();
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Alert color="orange" variant="outline" title={t('incidents.reason_wanted')}>
      <form onSubmit={(e) => void submit(e)}>
        <Stack gap="sm">
          {incident.reason_due && (
            <Text size="sm">
              {t('incidents.due')} <When at={incident.reason_due} />
            </Text>
          )}
          <Textarea name="reason" label={t('act.reason')} required minLength={10} autosize minRows={2} />
          {error !== null && <ProblemBox error={error} />}
          <div>
            <Button type="submit" loading={busy}>
              {t('incidents.reason_save')}
            </Button>
          </div>
        </Stack>
      </form>
      <Done text={done} />
    </Alert>
  );
}

/** The latest answers of the release that did harm; each leads to its own "why". */
function Requests({ incident }: { incident: Incident }) {
  const requests = useQuery({
    ...queries.requests({ app: incident.app, release: incident.suspect ?? undefined }),
    enabled: incident.suspect !== null,
  });
  const items = requests.data?.items ?? [];
  if (items.length === 0) return null;
  return (
    <section aria-label={t('incidents.requests')}>
      <Title order={2} size="h4" mb="sm">
        {t('incidents.requests')}
      </Title>
      <RequestTable requests={items} />
    </section>
  );
}
