// One place that says which resource is read from where, and which event makes it stale.
import { queryOptions, type QueryClient } from '@tanstack/react-query';
import { Problem, get } from './client.ts';
import type * as T from './types.ts';

type Search = Record<string, string | number | boolean | undefined>;

/** `path?a=1`, leaving out what is not set. */
export function withSearch(path: string, search: Search): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) {
    if (value !== undefined && value !== '') params.set(key, String(value));
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

function read<D>(key: readonly unknown[], path: string) {
  return queryOptions({ queryKey: key, queryFn: ({ signal }) => get<D>(path, signal) });
}

/** Reads a resource that an older server may not have: `null` then. */
function readIfThere<D>(key: readonly unknown[], path: string) {
  return queryOptions({
    queryKey: key,
    queryFn: async ({ signal }): Promise<D | null> => {
      try {
        return await get<D>(path, signal);
      } catch (e) {
        if (e instanceof Problem && e.status === 404) return null;
        throw e;
      }
    },
  });
}

export const PAGE = 25;
const id = encodeURIComponent;

/** `ch-7` for `7` and for `ch-7`. */
export const changeId = (text: string) => (/^\d+$/.test(text) ? `ch-${text}` : text);

export const apps = () => read<T.Page<T.App>>(['apps'], 'apps');
export const app = (name: string) => read<T.App>(['app', name], `apps/${id(name)}`);
export const inbox = () => readIfThere<T.InboxItem[] | T.Page<T.InboxItem>>(['inbox'], 'inbox');
export const changes = (search: Search) =>
  read<T.Page<T.Change>>(['changes', search], withSearch('changes', { limit: PAGE, ...search }));
export const change = (n: string) => read<T.Change>(['change', changeId(n)], `changes/${id(changeId(n))}`);
export const changeDiff = (n: string) =>
  read<{ diff: string }>(['change', changeId(n), 'diff'], `changes/${id(changeId(n))}/diff`);
export const evals = (n: string) =>
  readIfThere<T.EvalReport>(['change', changeId(n), 'evals'], `changes/${id(changeId(n))}/evals`);
export const evalCases = (n: string, filter: T.CaseFilter, cursor?: string) =>
  readIfThere<T.EvalCases>(
    ['change', changeId(n), 'cases', filter, cursor ?? ''],
    withSearch(`changes/${id(changeId(n))}/evals/cases`, { filter, cursor, limit: 10 }),
  );
export const rollouts = (search: Search) =>
  read<T.Page<T.Rollout>>(['rollouts', search], withSearch('rollouts', { limit: PAGE, ...search }));
export const rollout = (name: string) => read<T.Rollout>(['rollout', name], `rollouts/${id(name)}`);
export const ticks = (name: string) =>
  read<T.Page<T.Report>>(['rollout', name, 'ticks'], `rollouts/${id(name)}/ticks?limit=60`);
export const series = (name: string) =>
  read<T.Series>(['rollout', name, 'series'], `rollouts/${id(name)}/series?points=240`);
export const incidents = (search: Search) =>
  read<T.Page<T.Incident>>(['incidents', search], withSearch('incidents', { limit: PAGE, ...search }));
export const incident = (name: string) => read<T.Incident>(['incident', name], `incidents/${id(name)}`);
export const releases = (search: Search) =>
  read<T.Page<T.Release>>(['releases', search], withSearch('releases', { limit: PAGE, ...search }));
export const release = (name: string) => read<T.Release>(['release', name], `releases/${id(name)}`);
export const requests = (search: Search) =>
  read<T.Page<T.RequestRecord>>(['requests', search], withSearch('requests', { limit: 10, ...search }));
export const explain = (name: string) => read<T.Why>(['why', name], `requests/${id(name)}/explain`);
export const audit = (search: Search) =>
  read<T.Page<T.AuditRow>>(['audit', search], withSearch('audit', { limit: 50, ...search }));
export const people = () => read<T.Page<T.Person>>(['people'], 'people');
export const tokens = () => read<T.Page<T.Token>>(['tokens'], 'tokens');
export const git = () => read<T.GitState>(['git'], 'git');
export const gateways = () => read<T.Page<T.Gateway>>(['gateways'], 'gateways');
export const whoami = () => read<T.WhoAmI>(['whoami'], 'whoami');
export const files = (name: string) => read<T.AppFiles>(['app', name, 'files'], `apps/${id(name)}/files`);
export const models = (name: string) =>
  readIfThere<T.Page<T.ModelEntry>>(['models', name], withSearch('models', { app: name }));
export const allModels = () => read<T.Page<T.ModelEntry>>(['models'], 'models?limit=1000');
export const policies = () => read<T.Policies>(['policies'], 'policies');
export const providers = () => readIfThere<T.Page<T.Provider>>(['providers'], 'session/providers');
export const experiments = (search: Search) =>
  read<T.Page<T.Experiment>>(['experiments', search], withSearch('experiments', { limit: PAGE, ...search }));
export const experiment = (name: string) => read<T.Experiment>(['experiment', name], `experiments/${id(name)}`);
export const channels = () => readIfThere<T.Page<T.Channel>>(['notifications', 'channels'], 'notifications/channels');
export const deliveries = (search: Search) =>
  read<T.Page<T.Delivery>>(['notifications', 'deliveries', search], withSearch('notifications/deliveries', { limit: PAGE, ...search }));
export const preferences = () => read<T.Preferences>(['notifications', 'preferences'], 'notifications/preferences');
export const messagePreview = (search: Search) =>
  read<T.MessagePreview>(['notifications', 'preview', search], withSearch('notifications/preview', search));
export const costs = (search: Search) => read<T.Costs>(['costs', search], withSearch('costs', search));
export const kpis = (search: Search) => read<T.Kpis>(['kpis', search], withSearch('kpis', search));
export const offer = (name: string) => readIfThere<T.TryOffer>(['try', name], `apps/${id(name)}/try`);
export const marks = (n: string) =>
  readIfThere<T.Page<T.Mark>>(['change', changeId(n), 'marks'], `changes/${id(changeId(n))}/evals/marks`);

/** What an event topic makes stale. */
export function staleOf(topic: string): readonly unknown[][] {
  const [kind = '', name = ''] = topic.split(/:(.*)/s);
  switch (kind) {
    case 'rollout':
      return [['rollout', name]];
    case 'change':
      return [['change', changeId(name)], ['changes']];
    case 'changes':
      return [['changes'], ['change']];
    case 'apps':
      return [['apps'], ['app'], ['gateways']];
    case 'incidents':
      return [['incidents'], ['incident']];
    case 'audit':
      return [['audit']];
    case 'experiment':
      return [['experiment', name], ['experiments']];
    case 'experiments':
      return [['experiments'], ['experiment']];
    case 'notifications':
    case 'inbox':
    case 'people':
    case 'tokens':
    case 'releases':
    case 'rollouts':
      return [[kind]];
    default:
      return [];
  }
}

/** Reads again whatever shows the topic. */
export function refresh(client: QueryClient, topic: string): void {
  for (const queryKey of staleOf(topic)) void client.invalidateQueries({ queryKey });
}

/** What an app's own plan could notice at its traffic. */
export const appPlan = (name: string) => get<{ summary: T.Sentence }>(`apps/${id(name)}/plan`);
