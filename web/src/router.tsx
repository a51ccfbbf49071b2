// Which address shows what. Every page is loaded when it is first visited.
import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
} from '@tanstack/react-router';
import { NotFound } from './components/not-found.tsx';
import { Root } from './components/root.tsx';
import { Waiting } from './components/load.tsx';
import { Broken } from './components/broken.tsx';

const root = createRootRouteWithContext<{ client: QueryClient }>()({ component: Root, notFoundComponent: NotFound });

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value ? value : typeof value === 'number' ? String(value) : undefined;

const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  component: lazyRouteComponent(() => import('./features/apps/home.tsx'), 'Home'),
});
const appPage = createRoute({
  getParentRoute: () => root,
  path: '/apps/$app',
  component: lazyRouteComponent(() => import('./features/apps/app.tsx'), 'AppPage'),
});
const propose = createRoute({
  getParentRoute: () => root,
  path: '/apps/$app/propose',
  component: lazyRouteComponent(() => import('./features/propose/propose.tsx'), 'Propose'),
});
const changes = createRoute({
  getParentRoute: () => root,
  path: '/changes',
  validateSearch: (s: Record<string, unknown>): { app?: string; state?: string; cursor?: string } => ({
    app: text(s.app),
    state: text(s.state),
    cursor: text(s.cursor),
  }),
  component: lazyRouteComponent(() => import('./features/changes/list.tsx'), 'Changes'),
});
const change = createRoute({
  getParentRoute: () => root,
  path: '/changes/$id',
  validateSearch: (s: Record<string, unknown>): { cases?: string; from?: string } => ({
    cases: text(s.cases),
    from: text(s.from),
  }),
  component: lazyRouteComponent(() => import('./features/changes/change.tsx'), 'ChangePage'),
});
const live = createRoute({
  getParentRoute: () => root,
  path: '/live',
  component: lazyRouteComponent(() => import('./features/rollout/list.tsx'), 'LiveList'),
});
const rollout = createRoute({
  getParentRoute: () => root,
  path: '/rollouts/$id',
  component: lazyRouteComponent(() => import('./features/rollout/rollout.tsx'), 'RolloutPage'),
});
const incidents = createRoute({
  getParentRoute: () => root,
  path: '/incidents',
  validateSearch: (s: Record<string, unknown>): { app?: string; cursor?: string } => ({
    app: text(s.app),
    cursor: text(s.cursor),
  }),
  component: lazyRouteComponent(() => import('./features/incidents/list.tsx'), 'Incidents'),
});
const incident = createRoute({
  getParentRoute: () => root,
  path: '/incidents/$id',
  component: lazyRouteComponent(() => import('./features/incidents/incident.tsx'), 'IncidentPage'),
});
const releases = createRoute({
  getParentRoute: () => root,
  path: '/releases',
  validateSearch: (s: Record<string, unknown>): { app?: string; cursor?: string } => ({
    app: text(s.app),
    cursor: text(s.cursor),
  }),
  component: lazyRouteComponent(() => import('./features/releases/list.tsx'), 'Releases'),
});
const release = createRoute({
  getParentRoute: () => root,
  path: '/releases/$id',
  component: lazyRouteComponent(() => import('./features/releases/release.tsx'), 'ReleasePage'),
});
const why = createRoute({
  getParentRoute: () => root,
  path: '/why',
  component: lazyRouteComponent(() => import('./features/releases/why.tsx'), 'WhyPage'),
});
const request = createRoute({
  getParentRoute: () => root,
  path: '/requests/$id',
  component: lazyRouteComponent(() => import('./features/releases/why.tsx'), 'WhyPage'),
});
const audit = createRoute({
  getParentRoute: () => root,
  path: '/audit',
  validateSearch: (
    s: Record<string, unknown>,
  ): { app?: string; actor?: string; action?: string; object?: string; cursor?: string } => ({
    app: text(s.app),
    actor: text(s.actor),
    action: text(s.action),
    object: text(s.object),
    cursor: text(s.cursor),
  }),
  component: lazyRouteComponent(() => import('./features/audit/audit.tsx'), 'Audit'),
});
const costs = createRoute({
  getParentRoute: () => root,
  path: '/costs',
  validateSearch: (s: Record<string, unknown>): { app?: string; month?: string } => ({
    app: text(s.app),
    month: text(s.month),
  }),
  component: lazyRouteComponent(() => import('./features/costs/costs.tsx'), 'Costs'),
});
const kpis = createRoute({
  getParentRoute: () => root,
  path: '/kpis',
  validateSearch: (s: Record<string, unknown>): { app?: string; days?: number } => ({
    app: text(s.app),
    days: Number(s.days) || undefined,
  }),
  component: lazyRouteComponent(() => import('./features/kpis/kpis.tsx'), 'Kpis'),
});
const experiments = createRoute({
  getParentRoute: () => root,
  path: '/experiments',
  validateSearch: (s: Record<string, unknown>): { app?: string; cursor?: string } => ({
    app: text(s.app),
    cursor: text(s.cursor),
  }),
  component: lazyRouteComponent(() => import('./features/experiments/experiments.tsx'), 'Experiments'),
});
const experiment = createRoute({
  getParentRoute: () => root,
  path: '/experiments/$id',
  component: lazyRouteComponent(() => import('./features/experiments/experiments.tsx'), 'ExperimentPage'),
});
const settings = createRoute({
  getParentRoute: () => root,
  path: '/settings',
  component: lazyRouteComponent(() => import('./features/settings/settings.tsx'), 'Settings'),
});
const settingsPart = createRoute({
  getParentRoute: () => root,
  path: '/settings/$part',
  component: lazyRouteComponent(() => import('./features/settings/settings.tsx'), 'SettingsPart'),
});
const signin = createRoute({
  getParentRoute: () => root,
  path: '/signin',
  validateSearch: (s: Record<string, unknown>): { code?: string } => ({ code: text(s.code) }),
  // Signed in already: the root shows the form only to those who are not.
  component: lazyRouteComponent(() => import('./features/apps/home.tsx'), 'Home'),
});

const tree = root.addChildren([
  home,
  appPage,
  propose,
  changes,
  change,
  live,
  rollout,
  incidents,
  incident,
  releases,
  release,
  why,
  request,
  audit,
  costs,
  kpis,
  experiments,
  experiment,
  settings,
  settingsPart,
  signin,
]);

export function makeRouter(client: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { client },
    basepath: new URL(document.baseURI).pathname.replace(/\/$/, '') || '/',
    defaultPreload: 'intent',
    defaultPendingComponent: Waiting,
    defaultErrorComponent: Broken,
    scrollRestoration: true,
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
