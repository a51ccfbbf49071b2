// The server's resources as the page reads them, out of the types generated from
// `crates/api/openapi.json` by `npm run gen`.
import type { components } from './schema.gen.ts';

type Schemas = components['schemas'];

/** One page of a list. */
export interface Page<T> {
  items: T[];
  next?: string;
}
export type Level = 'C1' | 'C2' | 'C3';
export type Sentence = Schemas['Sentence'];
/** Without a level the page's own table decides. */
export type AllowedAction = Omit<Schemas['AllowedAction'], 'confirm_level'> & { confirm_level?: string };
export type Person = Schemas['Person'];
/** `provider` is whose sign-on it was; `sign_out` is where one signs out of that. */
export type Session = Omit<Schemas['Session'], 'provider'> & { provider?: { name: string; sign_out?: string | null } | null };
export type WhoAmI = Schemas['WhoAmI'];
export type App = Schemas['App'];
export type ComponentDiff = Schemas['ComponentDiff'];
export type Finding = Schemas['Finding'];
export type Gate = Schemas['GateResult'];
export type GateReport = Schemas['GateReport'];
export type Change = Omit<Schemas['Change'], 'facts' | 'asked'> & {
  facts?: Facts | null;
  asked?: { by: string; comment: string; at: number } | null;
};
export type SignalReport = Schemas['SignalReport'];
export type Report = Schemas['Report'];
export type Rollout = Schemas['Rollout'];
export type ActionResult = Schemas['ActionResult'];
export type Series = Schemas['Series'];
export type Release = Schemas['Release'];
export type Why = Omit<Schemas['Why'], 'served' | 'shadow' | 'feedback'> & {
  served: RequestRecord;
  shadow: RequestRecord | null;
  feedback: { name: string; value: number; at: number; shadow: boolean }[];
};
export type Incident = Schemas['Incident'];
export type AuditRow = Schemas['AuditRow'] & { entry: { actor: { kind: string; name?: string } } };
export type AuditVerification = Schemas['AuditVerification'];
export type GitState = Schemas['Git'];
export type Gateway = Schemas['Gateway'];
export type Token = Schemas['Token'];
export type MadeToken = Schemas['MadeToken'];
export type InboxItem = Schemas['InboxItem'];
export type AppFile = Schemas['AppFile'];
export type AppFiles = Schemas['AppFiles'];
export type CheckFinding = Schemas['FoundFinding'];
export type CheckAnswer = Schemas['Check'];
export type Draft = Schemas['Draft'];
export type ModelEntry = Schemas['Model'];
export type Policies = Schemas['Policies'];
/** A company's sign-on: `url` is gone to, not asked. */
export interface Provider {
  id: string;
  name: string;
  url: string;
}

// What the interface's description leaves open.

export interface Facts {
  model?: { name: string; version: string; provider: string; id: string };
  tokens?: { prompt: number; answer: number };
  cost?: {
    request_micros: number;
    production_micros: number | null;
    change_percent: number | null;
    month_micros: number | null;
  };
}
export interface RequestRecord {
  id: string;
  at: number;
  gateway: string;
  app: string;
  release: string;
  arm: string;
  rollout: string | null;
  step: number | null;
  share: string | null;
  bucket: number;
  subject: string | null;
  tenant: string | null;
  status: string;
  error: string | null;
  fallback: string;
  latency_us: number;
  prompt_tokens: number;
  completion_tokens: number;
  cost_nano_usd: number;
  served_model: string | null;
  prompt?: string | null;
  answer?: string | null;
}

// What evaluations measured (`GET /changes/{id}/evals`).

export interface Interval {
  value: number;
  low: number;
  high: number;
}
export interface SuiteReport {
  suite: string;
  title: string;
  tier: string;
  kind: string;
  outcome: string;
  summary: string;
  confidence: number;
  cases: number;
  not_reached?: number;
  repeats: number;
  stopped_early?: boolean;
  pass: {
    asked: number;
    kept: number;
    share: Interval;
    production?: Interval;
    difference?: Interval;
    zero_bound?: number;
    at_least: number;
    not_worse_by?: number;
  };
  scores?: {
    metric: string;
    cases: number;
    candidate: Interval;
    production?: Interval;
    difference?: Interval;
    at_least?: number;
    not_worse_by?: number;
    held: boolean;
  }[];
  flickering?: number;
  worse?: { reason: string; count: number }[];
  judges?: { judge: string; version: string; calibrated: boolean; rewarded_junk: string[]; error?: string }[];
}
export interface EvalReport {
  app: string;
  candidate: string;
  against?: string;
  outcome: string;
  suites: SuiteReport[];
}
export type EvalCases = Schemas['EvalCases'];
export type EvalCase = Schemas['EvalCase'];
export type CaseFilter = 'worse' | 'failed' | 'different' | 'all';

export type Costs = Schemas['Costs'];
export type Kpis = Schemas['Kpis'];
export type Kpi = Schemas['Kpi'];
export type TryOffer = Schemas['TryOffer'];
export type Tries = Schemas['Try'];
export type Mark = Schemas['Mark'];
export type Channel = Schemas['Channel'];
export type Delivery = Schemas['Delivery'];
export type MessagePreview = Schemas['MessagePreview'];
export type Preferences = Schemas['Preferences'];
export type Experiment = Omit<Schemas['Experiment'], 'variants' | 'phase'> & {
  phase: { name: string; variant?: string; how?: string };
  variants: ExperimentVariant[];
};
export interface ExperimentVariant {
  name: string;
  release: string;
  labels: Record<string, string>;
  shares: (string | number)[];
  dropped?: string;
  numbers?: {
    rewards: number;
    mean?: number | null;
    against_control?: number | null;
    interval?: [number, number] | null;
    probably_best?: number | null;
  };
}
