// The audit log: who did what, when, why, from where; and whether anything in it was touched.
import { Alert, Button, Code, Group, Paper, Select, Stack, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { get, getText } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { AuditRow, AuditVerification } from '../../api/types.ts';
import { AuditSentence, actorOf } from '../../components/audit-row.tsx';
import { PageTitle, Say, When } from '../../components/basics.tsx';
import { Empty, Load, ProblemBox } from '../../components/load.tsx';
import { More } from '../../components/more.tsx';
import { t } from '../../lib/i18n.ts';
import { check, type Checked } from '../../lib/merkle.ts';

const ACTIONS = [
  'change.created',
  'change.approved',
  'change.rejected',
  'change.merged',
  'rollout.started',
  'rollout.advanced',
  'rollout.paused',
  'rollout.promoted',
  'rollout.rolled_back',
  'app.rolled_back',
  'app.killed',
  'app.unkilled',
  'incident.opened',
  'release.cleared',
  'person.added',
  'token.created',
];

export function Audit() {
  const search = useSearch({ from: '/audit' });
  const navigate = useNavigate({ from: '/audit' });
  const rows = useQuery(queries.audit(search));
  const apps = useQuery(queries.apps());
  const people = useQuery(queries.people());
  const only = (part: Partial<typeof search>) => void navigate({ search: { ...search, ...part, cursor: undefined } });
  const actors = [
    ...(people.data?.items ?? []).map((p) => ({ value: p.name, label: p.display || p.name })),
    { value: 'controller', label: t('actor.controller') },
    { value: 'system', label: t('actor.system') },
  ];
  const clear = { clearable: true, clearButtonProps: { 'aria-label': t('common.clear') }, placeholder: t('common.all') };
  return (
    <>
      <PageTitle title={t('nav.audit')} />
      <Stack gap="md">
        <Verify rows={rows.data?.items ?? []} />
        <Group align="flex-end">
          <Select label={t('home.app')} {...clear} data={apps.data?.items.map((a) => a.name) ?? []} value={search.app ?? null} onChange={(v) => only({ app: v ?? undefined })} />
          <Select label={t('audit.who')} {...clear} data={actors} value={search.actor ?? null} onChange={(v) => only({ actor: v ?? undefined })} searchable />
          <Select
            label={t('audit.what')}
            {...clear}
            data={ACTIONS.map((value) => ({ value, label: t(`audit.${value.replace('.', '_')}`) }))}
            value={search.action ?? null}
            onChange={(v) => only({ action: v ?? undefined })}
            searchable
          />
          <form
            onSubmit={(e) => {
              e.preventDefault();
              only({ object: String(new FormData(e.currentTarget).get('object') ?? '').trim() || undefined });
            }}
          >
            <TextInput name="object" label={t('audit.object')} placeholder="change/ch-2" defaultValue={search.object ?? ''} />
          </form>
        </Group>
        <Load query={rows}>
          {(page) =>
            page.items.length === 0 ? (
              <Empty text={t('audit.none')} />
            ) : (
              <>
                <ol className="timeline" reversed>
                  {page.items.map((row) => (
                    <li key={row.index}>
                      <Entry row={row} />
                    </li>
                  ))}
                </ol>
                <More to="/audit" search={search} next={page.next} />
              </>
            )
          }
        </Load>
      </Stack>
    </>
  );
}

function Entry({ row }: { row: AuditRow }) {
  const { entry } = row;
  return (
    <Paper withBorder p="xs">
      <Text size="sm" className="wrap">
        <Text span size="sm" c="dimmed">
          <When at={entry.at} />
        </Text>{' '}
        <AuditSentence row={row} />
      </Text>
      <details className="technical entry">
        <summary>{t('audit.entry', { n: row.index })}</summary>
        <Text size="xs" c="dimmed">
          {t('audit.line', { actor: actorOf(row), source: entry.source ?? '–', action: entry.action })}
        </Text>
        <pre className="raw" tabIndex={0} aria-label={t('audit.details')}>
          {JSON.stringify(entry.details ?? {}, null, 2)}
        </pre>
      </details>
    </Paper>
  );
}

function Verify({ rows }: { rows: AuditRow[] }) {
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState<AuditVerification | null>(null);
  const [own, setOwn] = useState<Checked | null>(null);
  const [error, setError] = useState<unknown>(null);
  const who = useQuery(queries.whoami());
  const verify = async () => {
    setBusy(true);
    setError(null);
    setOwn(null);
    try {
      setSaid(await get<AuditVerification>('audit/verify'));
      // Browsers compute hashes on secure pages only.
      if (rows.length > 0 && globalThis.crypto?.subtle && who.data) {
        setOwn(await check(rows, who.data.log_key, (index) => getText(`audit/${index}/proof`)));
      }
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div>
      <Group>
        <Button onClick={() => void verify()} loading={busy}>
          {t('audit.verify')}
        </Button>
        <Text size="sm" c="dimmed">
          {t('audit.verify_what')}
        </Text>
      </Group>
      <div role="status" aria-live="polite">
        {said && (
          <Alert color={said.whole && !own?.bad.length ? 'green' : 'red'} variant="outline" mt="sm" title={said.whole && !own?.bad.length ? t('audit.whole') : t('audit.broken')}>
            <Text size="sm" className="wrap">
              <Say text={said.summary.text} />
            </Text>
            {own && (
              <Text size="sm" mt={4} className="wrap">
                {own.bad.length > 0
                  ? t('audit.own_bad', { count: own.bad.length, which: own.bad.join(', ') })
                  : t('audit.own_good', { count: own.good.length })}{' '}
                {t(own.signature === true ? 'audit.own_signed' : own.signature === false ? 'audit.own_forged' : 'audit.own_unsure')}
              </Text>
            )}
            <Text size="xs" c="dimmed" mt={4}>
              {t('audit.root')} <Code className="wrap">{said.root}</Code>
            </Text>
          </Alert>
        )}
      </div>
      {error !== null && <ProblemBox error={error} />}
    </div>
  );
}
