// The server's resources as the page reads them: the shapes of `crates/control/src/views.rs`.

export interface Page<T> {
  items: T[];
  next?: string;
}
export interface Sentence {
  code: string;
  params: Record<string, unknown>;
  text: string;
}
export type Level = 'C1' | 'C2' | 'C3';
export interface AllowedAction {
  kind: string;
  enabled: boolean;
  why_not?: string;
  consequence: string;
  confirm_level?: string;
}
export interface Person {
  name: string;
  display: string;
  email: string;
  roles: string[];
}
export interface Session {
  person: { id: string; name: string; roles: string[]; kind?: string };
  csrf: string;
  expires_at?: number;
  demo?: boolean;
  installation: { name: string; version?: string; environment: string };
}
export interface WhoAmI {
  person: Person;
  origin: string;
  log_key: string;
  environment: string;
  gateway_url: string | null;
}
export interface App {
  name: string;
  owner: string;
  risk: string;
  environment: string;
  production: string | null;
  labels: Record<string, string>;
  rollout: string | null;
  experiment?: string | null;
  killed: number | null;
  cool_down_until: number | null;
  allowed_actions?: AllowedAction[];
  generation: number;
}
export interface Component {
  name: string;
  version: string;
  digest: string;
}
export interface ComponentDiff {
  kind: string;
  before?: Component | null;
  after?: Component | null;
}
export interface Finding {
  code: string;
  severity: 'error' | 'warning' | 'info' | string;
  place?: { file?: string; line?: number; column?: number; field?: string };
  message: string;
  explanation?: string;
  mend?: string;
}
export interface Gate {
  gate: string;
  title: string;
  tier: string;
  outcome: string;
  summary: string;
  findings: Finding[];
}
export interface GateReport {
  outcome: string;
  finished_at: number;
  gates: Gate[];
}
export interface Requirement {
  role: string;
  count: number;
  reason: string;
}
export interface Approval {
  by: string;
  role: string;
  decision: string;
  comment: string;
  at: number;
  content: string;
}
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
export interface Change {
  id: string;
  app: string;
  title: string;
  why: string;
  author: string;
  contributors: string[];
  state: string;
  summary: Sentence;
  branch: string;
  head: string;
  content: string;
  release: string | null;
  production: string | null;
  differences: ComponentDiff[];
  report: GateReport | null;
  requirements: Requirement[];
  facts?: Facts | null;
  missing: Requirement[];
  approvals: Approval[];
  merge_commit: string | null;
  rollout: string | null;
  revert_commit: string | null;
  created_at: number;
  updated_at: number;
  allowed_actions: AllowedAction[];
  generation: number;
}
export interface Arm {
  n: number;
  value: number | null;
  bad: number | null;
}
export interface SignalReport {
  verdict: {
    signal: string;
    outcome: string;
    reason: string;
    action: string;
    control: Arm;
    candidate: Arm;
    limit: number | null;
    interval: [number, number] | null;
    needed: number | null;
  };
  over: number;
  over_needed: number;
  text: Sentence;
}
export interface Report {
  rollout: string;
  generation: number;
  at: number;
  phase: string;
  step: number;
  steps: number;
  exposure: { weight: string; shadow: string };
  counts: { candidate: number; control: number; shadow: number };
  waiting: { time: string | null; requests: number | null; evidence: string[]; person: string | null };
  signals: SignalReport[];
  summary: Sentence;
}
export interface Rollout {
  id: string;
  app: string;
  change: string;
  title: string;
  candidate: string;
  stable: string;
  candidate_labels: Record<string, string>;
  stable_labels: Record<string, string>;
  phase: { name: string; cause?: unknown; role?: string };
  step: number;
  steps: string[];
  exposure: { weight: string; shadow: string };
  report: Report | null;
  decision: Sentence | null;
  decided_at: number | null;
  swing_back: string | null;
  requests_exposed: number;
  requests_harmed: number;
  incident: string | null;
  git_commit: string | null;
  started_at: number;
  allowed_actions: AllowedAction[];
  generation: number;
}
export interface ActionResult {
  done: Sentence;
  rollout: string | null;
  incident: string | null;
  snapshot: number;
  gateways: [number, number];
}
export interface Point {
  at: number;
  control: number | null;
  candidate: number | null;
  lo: number | null;
  hi: number | null;
}
export interface Series {
  signals: {
    key: string;
    label: string;
    unit: string;
    better: string;
    points: Point[];
    limit: number | null;
    breaches: number;
    breaches_needed: number;
    need: number | null;
    n: number;
    text: string;
    state: string;
  }[];
}
export interface Release {
  id: string;
  app: string;
  manifest: { apiVersion: string; kind: string; app: string; components: Record<string, Component> };
  envelope: unknown;
  change: string | null;
  commit: string;
  created_at: number;
  denied: string | null;
  live: boolean;
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
export interface Why {
  id: string;
  served: RequestRecord;
  shadow: RequestRecord | null;
  summary: Sentence;
  release: Release;
  last_good: Release | null;
  differences: ComponentDiff[];
  texts: Record<string, string>;
  feedback: { name: string; value: number; at: number; shadow: boolean }[];
  change: string | null;
  commit: string | null;
  outcome: Sentence | null;
}
export interface Incident {
  id: string;
  app: string;
  kind: string;
  opened_at: number;
  opened_by: string | null;
  what: Sentence;
  rollout: string | null;
  suspect: string | null;
  restored: string | null;
  differences: ComponentDiff[];
  requests_exposed: number;
  requests_harmed: number;
  swing_back: string | null;
  reason: string | null;
  reason_due: number | null;
  revert_commit: string | null;
  closed_at: number | null;
}
export interface AuditRow {
  index: number;
  text?: string;
  entry: {
    at: number;
    actor: { kind: string; name?: string };
    on_behalf_of?: string;
    action: string;
    object: string;
    app?: string;
    reason?: string;
    source?: string;
    details?: Record<string, unknown>;
  };
}
export interface AuditVerification {
  whole: boolean;
  entries: number;
  root: string;
  summary: Sentence;
}
export interface GitState {
  head: string;
  clone_url: string;
  drift: Sentence[];
  pending: string[];
}
export interface Gateway {
  name: string;
  serving: number;
  newest: number;
  seen_at: number;
}
export interface Token {
  id: string;
  person: string | null;
  apps: string[];
  gateway: boolean;
  note: string;
  created_at: number;
  expires_at: number;
  last_used_at?: number | null;
}
export interface MadeToken {
  secret: string;
  token: Token;
}
export interface InboxItem {
  kind: string;
  app: string;
  text: string;
  url: string;
  at: number;
}
export interface AppFile {
  path: string;
  kind: string;
  shared?: boolean;
  text: string;
  variables?: string[];
}
export interface AppFiles {
  base: string;
  files: AppFile[];
}
export interface CheckFinding extends Finding {
  path?: string;
  line?: number;
  column?: number;
  end_column?: number;
  replacement?: string;
}
export interface CheckAnswer {
  findings: CheckFinding[];
  tokens: { now: number | null; new: number | null };
  cost: {
    per_request: { now: number | null; new: number | null };
    per_month: { now: number | null; new: number | null; low?: number | null; high?: number | null };
    how: string;
  };
  base_moved: boolean;
  who: string[];
  can_send: boolean;
}
export interface Draft {
  files: Record<string, string>;
  plan?: string | null;
  why?: string | null;
  saved_at: number;
  base?: string | null;
  version: number;
}
export interface ModelEntry {
  name: string;
  current: boolean;
  price_per_1000: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  context: number | null;
  region: string | null;
  allowed: boolean;
  why_not?: string;
}
