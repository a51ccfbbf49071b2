// Propose a change: the form on the left, what will come of it on the right.
import { Alert, Anchor, Button, Grid, Group, Paper, Radio, Select, Stack, Text, TextInput, Textarea, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useMemo, useRef, useState } from 'react';
import { post } from '../../api/client.ts';
import * as queries from '../../api/queries.ts';
import type { AppFiles, Change, Draft } from '../../api/types.ts';
import { PageTitle, Say } from '../../components/basics.tsx';
import { Load, ProblemBox, Waiting } from '../../components/load.tsx';
import { clock } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';
import { PRESETS, withPreset, type Preset } from '../../lib/plan.ts';
import { fileName } from '../../lib/files.ts';
import { Before } from './before.tsx';
import { loadDraft, useAutosave } from './draft.ts';
import { Edit } from './edit.tsx';
import { ModelPicker, modelOf, withModel } from './model.tsx';
import { useCheck } from './check.ts';
import { Try } from './try.tsx';
import 'virtual:texts/before';
import 'virtual:texts/preset';
import 'virtual:texts/propose';

const WHY_MIN = 10;
/** What is changed here; who needs more works in git. */
const EDITABLE = ['prompt', 'partial', 'params', 'fallback'];

export function Propose() {
  const { app } = useParams({ from: '/apps/$app/propose' });
  const files = useQuery({ ...queries.files(app), staleTime: Infinity });
  const draft = useQuery({ queryKey: ['draft', app], queryFn: () => loadDraft(app), staleTime: Infinity, gcTime: 0 });
  return (
    <>
      <PageTitle title={t('propose.title')} app={app} />
      <Load query={files}>
        {(data) => (draft.isPending ? <Waiting /> : <Form key={app} app={app} now={data} draft={draft.data ?? null} />)}
      </Load>
    </>
  );
}

/** The texts of a draft; a draft never removes files here. */
function kept(draft: Draft | null): Record<string, string> {
  return Object.fromEntries(Object.entries(draft?.files ?? {}).filter((f): f is [string, string] => f[1] !== null));
}

/** Files whose text differs from production's. */
export function changedOf(base: AppFiles, files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).filter(([path, text]) => base.files.find((f) => f.path === path)?.text !== text),
  );
}

function Form({ app, now, draft }: { app: string; now: AppFiles; draft: Draft | null }) {
  const navigate = useNavigate();
  const [base, setBase] = useState(now);
  const [texts, setTexts] = useState<Record<string, string>>(() => kept(draft));
  const [preset, setPreset] = useState<Preset>(isPreset(draft?.plan) ? draft.plan : 'keep');
  const [why, setWhy] = useState(draft?.why ?? '');
  const [title, setTitle] = useState('');
  const [asked, setAsked] = useState(false);
  const [refused, setRefused] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const summary = useRef<HTMLDivElement>(null);

  const plan = base.files.find((f) => f.kind === 'plan');
  const editable = base.files.filter((f) => EDITABLE.includes(f.kind));
  const [path, setPath] = useState(() => Object.keys(draft?.files ?? {})[0] ?? editable.find((f) => f.kind === 'prompt')?.path ?? editable[0]?.path ?? '');
  const file = editable.find((f) => f.path === path);

  const changed = useMemo(() => {
    const all = changedOf(base, texts);
    if (plan && preset !== 'keep') all[plan.path] = withPreset(plan.text, preset);
    return all;
  }, [base, texts, plan, preset]);
  const check = useCheck(app, base.base, changed);
  const saved = useAutosave(app, { files: changedOf(base, texts), plan: preset, why, base: base.base }, draft?.version ?? 0);
  const moved = now.base !== base.base || (draft !== null && draft.base !== now.base && Object.keys(draft.files).length > 0);

  const errors = check.answer?.findings.filter((f) => f.severity === 'error') ?? [];
  const nothing = Object.keys(changed).length === 0;

  const wrong = [
    ...(nothing ? [{ id: 'prompt', text: t('propose.same') }] : []),
    ...(errors.length > 0 ? [{ id: 'before', text: t('propose.fix_first', { count: errors.length }) }] : []),
    ...(why.trim().length < WHY_MIN ? [{ id: 'why', text: t('propose.why_short', { n: WHY_MIN }) }] : []),
  ];
  // Nobody is told off before they tried; then what is mended goes away at once.
  const problems = asked ? wrong : [];

  const send = async () => {
    setAsked(true);
    setRefused(null);
    if (wrong.length > 0) {
      requestAnimationFrame(() => summary.current?.focus());
      return;
    }
    setBusy(true);
    try {
      const change = await post<Change>('changes', {
        app,
        why: why.trim(),
        title: title.trim() || undefined,
        edits: Object.entries(changed).map(([p, content]) => ({ path: p, content })),
        bump: 'patch',
      });
      await saved.forget();
      await navigate({ to: '/changes/$id', params: { id: change.id.replace('ch-', '') } });
    } catch (e) {
      setRefused(e);
      requestAnimationFrame(() => summary.current?.focus());
    } finally {
      setBusy(false);
    }
  };
  const set = (p: string, text: string) => setTexts((old) => ({ ...old, [p]: text }));
  const at = (id: string) => problems.find((p) => p.id === id)?.text;

  return (
    <Grid gap="lg">
      <Grid.Col span={{ base: 12, lg: 8 }}>
        <Stack gap="lg">
          <div ref={summary} tabIndex={-1} className="summary">
            {problems.length > 0 && (
              <Alert color="red" variant="outline" title={t('propose.problems')} role="alert">
                <ul className="plain-list">
                  {problems.map((p) => (
                    <li key={p.id}>
                      <Anchor
                        href={`#${p.id}`}
                        size="sm"
                        onClick={(e) => {
                          e.preventDefault();
                          focusField(p.id);
                        }}
                      >
                        {p.text}
                      </Anchor>
                    </li>
                  ))}
                </ul>
              </Alert>
            )}
            {refused !== null && <ProblemBox error={refused} />}
          </div>
          <Group justify="space-between" align="flex-end">
            <Text size="sm">
              {t('propose.for')}{' '}
              <Anchor renderRoot={(p) => <Link to="/apps/$app" params={{ app }} {...p} />} inherit fw={600}>
                {app}
              </Anchor>
            </Text>
            <Text size="sm" c="dimmed" role="status">
              {saved.state === 'server' && saved.at > 0 && t('propose.saved', { at: clock(saved.at) })}
              {saved.state === 'here' && t('propose.saved_here')}
            </Text>
          </Group>
          {moved && (
            <Alert color="orange" variant="outline" title={t('propose.moved')}>
              <Text size="sm" mb="sm">
                {t('propose.moved_text')}
              </Text>
              <Group>
                <Button
                  size="xs"
                  variant="default"
                  onClick={() => {
                    setBase(now);
                    setTexts({});
                  }}
                >
                  {t('propose.start_again')}
                </Button>
                <Button size="xs" variant="default" onClick={() => setBase(now)}>
                  {t('propose.keep_mine')}
                </Button>
              </Group>
            </Alert>
          )}
          <section aria-label={t('propose.what')} id="prompt">
            <Title order={2} size="h4" mb="sm">
              {t('propose.what')}
            </Title>
            <Select
              label={t('propose.part')}
              data={editable.map((f) => ({ value: f.path, label: fileName(f.path) + (changed[f.path] === undefined ? '' : ` (${t('propose.edited')})`) }))}
              value={path}
              onChange={(v) => v && setPath(v)}
              allowDeselect={false}
              mb="sm"
            />
            {file && (
              <Edit
                key={`${file.path}${base.base}`}
                file={file}
                text={texts[file.path] ?? file.text}
                all={{ ...Object.fromEntries(base.files.map((f) => [f.path, f.text])), ...texts }}
                findings={(check.answer?.findings ?? []).filter((f) => (f.path ?? f.place?.file) === file.path)}
                onChange={(text) => set(file.path, text)}
                onCheck={check.now}
              />
            )}
            {at('prompt') && (
              <Text size="sm" c="var(--mantine-color-error)" mt="xs">
                {at('prompt')}
              </Text>
            )}
          </section>
          <Try app={app} base={base.base} files={changed} />
          <ModelPicker
            app={app}
            now={modelOf(base, {})}
            chosen={modelOf(base, texts)}
            onChoose={(name) => {
              const change = withModel(base, texts, name);
              if (change) set(change.path, change.text);
            }}
          />
          <Radio.Group
            label={t('propose.plan')}
            description={t('propose.plan_help')}
            value={preset}
            onChange={(v) => isPreset(v) && setPreset(v)}
            required
            withAsterisk
          >
            <Stack gap="xs" mt="sm">
              {PRESETS.filter((p) => p === 'keep' || plan).map((p) => (
                <Radio.Card key={p} value={p} p="sm" aria-label={`${t(`preset.${p}.name`)}: ${t(`preset.${p}.text`)}`}>
                  <Group wrap="nowrap" align="flex-start">
                    <Radio.Indicator />
                    <div>
                      <Text size="sm" fw={600}>
                        {t(`preset.${p}.name`)}
                      </Text>
                      <Text size="sm" c="dimmed">
                        {t(`preset.${p}.text`)}
                      </Text>
                    </div>
                  </Group>
                </Radio.Card>
              ))}
            </Stack>
          </Radio.Group>
          <Sees app={app} />
          <Textarea
            id="why"
            label={t('propose.why')}
            description={t('propose.why_help')}
            required
            withAsterisk
            value={why}
            onChange={(e) => setWhy(e.currentTarget.value)}
            error={at('why')}
            autosize
            minRows={2}
          />
          <TextInput label={t('propose.name')} description={t('propose.name_help')} value={title} onChange={(e) => setTitle(e.currentTarget.value)} maxLength={120} />
        </Stack>
      </Grid.Col>
      <Grid.Col span={{ base: 12, lg: 4 }}>
        <Paper withBorder p="md" className="before" component="section" aria-label={t('before.title')} id="before" tabIndex={-1}>
          <Before check={check} nothing={nothing} onReplace={(p, from, to) => set(p, (texts[p] ?? base.files.find((f) => f.path === p)?.text ?? '').split(from).join(to))} onShow={setPath} />
          <Stack gap="xs" mt="md">
            <Button onClick={() => void send()} aria-busy={busy} aria-disabled={busy || undefined}>
              {busy ? t('propose.sending') : t('propose.send')}
            </Button>
            <Text size="sm" c="dimmed" ta="center">
              {errors.length > 0 ? t('propose.fix_first', { count: errors.length }) : nothing ? t('propose.same') : t('propose.send_help')}
            </Text>
          </Stack>
        </Paper>
      </Grid.Col>
    </Grid>
  );
}

function focusField(id: string): void {
  const at = document.getElementById(id);
  const field = at?.matches('textarea, input') ? at : at?.querySelector<HTMLElement>('.cm-content, textarea');
  (field ?? at)?.focus();
  at?.scrollIntoView({ block: 'center' });
}

function isPreset(value: unknown): value is Preset {
  return PRESETS.includes(value as Preset);
}

/** What this app's plan could notice at all, said before anybody relies on it. */
function Sees({ app }: { app: string }) {
  const plan = useQuery({
    queryKey: ['app', app, 'plan'],
    queryFn: () => queries.appPlan(app),
    retry: false,
    staleTime: 60_000,
  });
  if (!plan.data) return null;
  return (
    <Text size="sm" c="dimmed" className="wrap">
      <Say text={plan.data.summary.text} />
    </Text>
  );
}
