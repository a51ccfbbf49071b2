// One release: what it is made of, and whether its name is what its contents say.
import { Alert, Anchor, Group, Paper, Select, Stack, Table, Text, Title } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { post } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { ComponentDiff, Release } from '../../api/types.ts';
import { ActionButton, Done } from '../../components/act.tsx';
import { Copyable, Fact, Facts, PageTitle, Technical, When } from '../../components/basics.tsx';
import { Differences } from '../../components/differences.tsx';
import { Evidence } from '../../components/evidence.tsx';
import { Load } from '../../components/load.tsx';
import { canonical } from '../../lib/canonical.ts';
import { changeNumber, shortRelease } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import { hasRole, useSession } from '../../lib/session.tsx';
import { ReleaseBadge } from './list.tsx';
import 'virtual:texts/releases';

export function ReleasePage() {
  const { id } = useParams({ from: '/releases/$id' });
  const release = useQuery(queries.release(id));
  return (
    <>
      <PageTitle title={t('releases.title', { id: shortRelease(release.data?.id ?? id) })} app={release.data?.app}>
        {release.data && (
          <Group gap="xs">
            <Evidence path={`releases/${encodeURIComponent(release.data.id)}/evidence`} />
            <ReleaseBadge release={release.data} />
          </Group>
        )}
      </PageTitle>
      <Load query={release}>{(data) => <Detail release={data} />}</Load>
    </>
  );
}

function Detail({ release }: { release: Release }) {
  return (
    <Stack gap="lg">
      {release.denied && <Denied release={release} why={release.denied} />}
      <Paper withBorder p="md">
        <Facts>
          <Fact label={t('home.app')}>
            <Anchor renderRoot={(p) => <Link to="/apps/$app" params={{ app: release.app }} {...p} />} inherit>
              {release.app}
            </Anchor>
          </Fact>
          <Fact label={t('releases.made')}>
            <When at={release.created_at} />
          </Fact>
          <Fact label={t('releases.from')}>
            {release.change ? (
              <Anchor renderRoot={(p) => <Link to="/changes/$id" params={{ id: release.change?.replace('ch-', '') ?? '' }} {...p} />} inherit>
                {changeNumber(release.change)}
              </Anchor>
            ) : (
              t('releases.first')
            )}
          </Fact>
          <Fact label={t('releases.recomputed')}>
            <Recomputed release={release} />
          </Fact>
        </Facts>
      </Paper>
      <section aria-label={t('releases.contents')}>
        <Title order={2} size="h4" mb="sm">
          {t('releases.contents')}
        </Title>
        <Table className="cards">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('differences.part')}</Table.Th>
              <Table.Th>{t('releases.name')}</Table.Th>
              <Table.Th>{t('releases.version')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {Object.entries(release.manifest.components).map(([kind, c]) => (
              <Table.Tr key={kind}>
                <Table.Td data-label={t('differences.part')}>{t(`component.${kind}`, { defaultValue: kind })}</Table.Td>
                <Table.Td data-label={t('releases.name')}>{c.name}</Table.Td>
                <Table.Td data-label={t('releases.version')}>{c.version}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </section>
      <Compare release={release} />
      <Paper withBorder p="md">
        <Technical>
          <Stack gap="sm">
            <Copyable value={release.id} />
            <Facts>
              <Fact label={t('common.commit')}>
                <Copyable value={release.commit} />
              </Fact>
            </Facts>
            <pre className="raw" tabIndex={0} aria-label={t('releases.raw')}>
              {JSON.stringify(release.manifest, null, 2)}
            </pre>
          </Stack>
        </Technical>
      </Paper>
    </Stack>
  );
}

/** Computes the release's name from its contents, here, without trusting the server. */
function Recomputed({ release }: { release: Release }) {
  const [hash, setHash] = useState<string | null>(null);
  // Browsers compute digests only on secure pages.
  const able = typeof crypto !== 'undefined' && crypto.subtle !== undefined;
  useEffect(() => {
    if (!able) return;
    const bytes = new TextEncoder().encode(canonical(release.manifest));
    void crypto.subtle.digest('SHA-256', bytes).then((digest) => {
      setHash(`sha256:${Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, '0')).join('')}`);
    });
  }, [release, able]);
  if (!able) return <>{t('releases.cannot')}</>;
  if (!hash) return <>…</>;
  return <>{hash === release.id ? `✓ ${t('releases.matches')}` : `✕ ${t('releases.differs')}`}</>;
}

function Denied({ release, why }: { release: Release; why: string }) {
  const client = useQueryClient();
  const session = useSession();
  const [done, setDone] = useState<string | null>(null);
  return (
    <Alert color="orange" variant="outline" title={t('releases.denied_title')}>
      <Stack gap="sm">
        <Text size="sm" className="wrap">
          {why}
        </Text>
        <Group>
          <ActionButton
            action={{
              kind: 'clear',
              enabled: hasRole(session, 'approver'),
              why_not: t('releases.clear_who'),
              consequence: t('releases.clear_what'),
            }}
            ask={{ label: t('releases.clear'), busy: t('act.working') }}
            run={async (reason) => {
              await post(`releases/${encodeURIComponent(release.id)}/clear`, { reason });
              setDone(t('releases.cleared'));
              await client.invalidateQueries();
            }}
          />
        </Group>
        <Done text={done} />
      </Stack>
    </Alert>
  );
}

/** The differences between two manifests, by kind of component. */
export function compare(before: Release, after: Release): ComponentDiff[] {
  const kinds = new Set([...Object.keys(before.manifest.components), ...Object.keys(after.manifest.components)]);
  return [...kinds].map((kind) => ({
    kind,
    before: before.manifest.components[kind] ?? null,
    after: after.manifest.components[kind] ?? null,
  }));
}

function Compare({ release }: { release: Release }) {
  const all = useQuery(queries.releases({ app: release.app }));
  const [other, setOther] = useState<string | null>(null);
  const others = (all.data?.items ?? []).filter((r) => r.id !== release.id);
  const chosen = others.find((r) => r.id === other);
  if (others.length === 0) return null;
  return (
    <section aria-label={t('releases.compare')}>
      <Title order={2} size="h4" mb="sm">
        {t('releases.compare')}
      </Title>
      <Select
        label={t('releases.compare_with')}
        data={others.map((r) => ({ value: r.id, label: `${shortRelease(r.id)}${r.live ? ` (${t('releases.live')})` : ''}` }))}
        value={other}
        onChange={setOther}
        maw={360}
        mb="sm"
      />
      {chosen && <Differences list={compare(chosen, release)} before={shortRelease(chosen.id)} after={shortRelease(release.id)} />}
    </section>
  );
}
