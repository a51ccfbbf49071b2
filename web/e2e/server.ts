// Starts the real binary on the shipped example, with people, a token for apps, and traffic.
import { createServer, connect, type Socket } from 'node:net';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
export const APP = 'support-summary';

/** The example's plan with a first step that lasts: the journeys end it, not the clock. */
const PLAN = `apiVersion: tidegate/v1
subject: user
check_every: 500ms
planned: {duration: 2h, requests: 40000}
risk: {false_stop: 1%, false_promote: 10%}
steps:
  - weight: {share: 25%, hold: 1h}
  - promote: {}
signals:
  - {name: error, kind: rate, worse: higher, notice: {by: 0.05}, limit: 5%, action: rollback}
  - {name: latency_ms, kind: latency, statistic: p95, worse: higher, limit: 20000, sustained: {checks: 3}, action: pause}
missing: {hold_for: 10m, then: pause}
after_rollback: {cool_down: 1s, restore: immediate}
`;

const POLICIES = `@id("customers-need-an-approved-model")
@because("what customers read comes from models that were looked at for it")
@satisfy("choose a model with \`approved_for: customers\` in its labels")
forbid (principal, action == Action::"release", resource)
when { resource.audience == "customer" }
unless { context.model.hasTag("approved_for") };

@id("agents-need-one-more-approver")
@because("a program wrote part of it")
@requires("approver:2")
forbid (principal, action == Action::"release", resource)
when { context.agent };
`;
const EXAMPLES = `apiVersion: tidegate/v1
cases:
  - name: what colleagues read goes through
    expect: {decision: allow, denied_by: []}
  - name: customers get an approved model only
    facts: {app: {audience: customer}}
    expect: {decision: deny, denied_by: [customers-need-an-approved-model]}
`;

const EXPERIMENT = `apiVersion: tidegate/v1
variants: [{name: today}, {name: short, prompt: tone}]
check_every: 1s
reward: {signal: accepted, kind: rate}
guards:
  - {name: error, kind: rate, worse: higher, notice: {times: 2}, action: rollback}
`;

export const PEOPLE = {
  ana: { display: 'Ana Ruiz', roles: ['editor'] },
  priya: { display: 'Priya Shah', roles: ['approver'] },
  omar: { display: 'Omar Haddad', roles: ['operator'] },
  irina: { display: 'Irina Novak', roles: ['auditor'] },
  root: { display: 'Rut Berg', roles: ['admin'] },
} as const;
export type Who = keyof typeof PEOPLE;

export interface Site {
  url: string;
  gateway: string;
  tokens: Record<Who, string>;
  admin: string;
  api<T>(who: Who | 'admin', method: string, path: string, body?: unknown): Promise<T>;
  ask(vars?: Record<string, string>): Promise<{ request: string; text: string }>;
  /** Runs the command line; its exit code. */
  run(...args: string[]): number | null;
  stop(): Promise<void>;
}

export function binary(): string {
  const path = process.env.TIDEGATE_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'debug/tidegate');
  if (!existsSync(path)) throw new Error(`${path} is not there: build it with \`cargo build -p tidegate\``);
  return path;
}

/** A text of the example, for example the shorter prompt. */
export const example = (path: string) => readFileSync(join(root, 'examples/support-summary', path), 'utf8');

/** Each text answers as it was recorded for its version. The page raises a version by its last
 * place, so 1.0.1 is the shorter prompt; 1.1.0 forgets what comes next, and at times the name. */
function record(evals: string): void {
  interface Line { key: string; response: string }
  const recordings = join(evals, 'recordings/summaries.jsonl');
  const said = readFileSync(recordings, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Line);
  const short = said.filter((l) => l.key.endsWith('/1.1.0'));
  const of = (l: Line, version: string) => l.key.replace('/1.1.0', `/${version}`);
  const worse = short.map((l, i) => {
    const response = i % 8 === 0 ? l.response.replace(/ Next: .*$/, '') : l.response;
    return { ...l, response: i % 20 === 0 ? response.replace(/^\w+, /, '') : response };
  });
  const lines = [...said.filter((l) => !short.includes(l)), ...worse, ...short.map((l) => ({ ...l, key: of(l, '1.0.1') }))];
  writeFileSync(recordings, lines.map((l) => JSON.stringify(l)).join('\n'));
  const golden = join(evals, 'golden/summaries.jsonl');
  const cases = readFileSync(golden, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { id: string });
  const expected = (id: string) => short.filter((l) => l.key === `${id}/1.1.0`).map((l) => l.response);
  writeFileSync(golden, cases.map((c) => JSON.stringify({ ...c, expected: expected(c.id) })).join('\n'));
  const suite = join(evals, 'summaries.yaml');
  writeFileSync(suite, `${readFileSync(suite, 'utf8')}scores:\n  - {metric: recall, not_worse_by: 0.05}\n`);
}

export async function start(): Promise<Site> {
  if (!existsSync(join(root, 'web/dist/index.html'))) {
    throw new Error('web/dist is not there: build it with `cargo xtask web`');
  }
  const folder = mkdtempSync(join(tmpdir(), 'tidegate-e2e-'));
  const seed = join(folder, 'seed');
  cpSync(join(root, 'examples/support-summary/ops'), seed, { recursive: true });
  rmSync(join(seed, 'policies'), { recursive: true, force: true });
  mkdirSync(join(seed, 'policies/tests'), { recursive: true });
  writeFileSync(join(seed, 'policies/team.cedar'), POLICIES);
  writeFileSync(join(seed, 'policies/tests/team.yaml'), EXAMPLES);
  writeFileSync(join(seed, 'apps', APP, 'rollout.yaml'), PLAN);
  record(join(seed, 'apps', APP, 'evals'));
  // An experiment to start: the shorter prompt as a variant.
  const prompts = join(seed, 'apps', APP, 'prompts');
  cpSync(join(prompts, 'summary'), join(prompts, 'tone'), { recursive: true });
  writeFileSync(join(prompts, 'tone/system.j2'), example('changes/shorter/system.j2'));
  const settings = join(prompts, 'tone/prompt.yaml');
  writeFileSync(settings, readFileSync(settings, 'utf8').replace('version: 1.0.0', 'version: 1.0.1'));
  mkdirSync(join(seed, 'apps', APP, 'experiments'), { recursive: true });
  writeFileSync(join(seed, 'apps', APP, 'experiments/tone.yaml'), EXPERIMENT);
  const made = spawnSync(binary(), ['init', join(folder, 'data'), '--from', seed, '--output', 'json', '--no-input'], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`tidegate init failed: ${made.stderr}`);
  const admin = (JSON.parse(made.stdout) as { admin_token: string }).admin_token;

  const ready = join(folder, 'ready.json');
  const said: string[] = [];
  const child = spawn(
    binary(),
    ['serve', '--data', join(folder, 'data'), '--listen', '127.0.0.1:0', '--gateway-listen', '127.0.0.1:0', '--look-every', '200ms', '--ready-file', ready],
    { stdio: ['ignore', 'ignore', 'pipe'], cwd: root },
  );
  child.stderr?.on('data', (d: Buffer) => said.push(d.toString()));
  const at = await readyFile(ready, child, said);

  const api = async <T,>(token: string, method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${at.control}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text ? JSON.parse(text) : undefined) as T;
  };
  const tokens = {} as Record<Who, string>;
  for (const [name, person] of Object.entries(PEOPLE) as [Who, (typeof PEOPLE)[Who]][]) {
    await api(admin, 'POST', 'people', { name, display: person.display, email: `${name}@example.com`, roles: person.roles });
    const token = await api<{ secret: string }>(admin, 'POST', 'tokens', { person: name, note: 'e2e' });
    tokens[name] = token.secret;
  }
  const app = (await api<{ secret: string }>(admin, 'POST', 'tokens', { apps: [APP], note: 'e2e' })).secret;
  const tickets = example('traffic.jsonl').trim().split('\n').map((line) => (JSON.parse(line) as { vars: Record<string, string> }).vars);

  let n = 0;
  const ask = async (vars?: Record<string, string>) => {
    n += 1;
    const response = await fetch(`${at.gateway}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${app}`, 'content-type': 'application/json', 'x-tidegate-subject': `reader-${n}` },
      body: JSON.stringify({
        model: `app/${APP}`,
        messages: [{ role: 'user', content: 'Please summarise this chat.' }],
        tidegate: { vars: vars ?? tickets[n % tickets.length] },
      }),
    });
    const answer = (await response.json()) as { choices?: { message: { content: string } }[] };
    return { request: response.headers.get('x-request-id') ?? '', text: answer.choices?.[0]?.message.content ?? '' };
  };
  let open = true;
  const traffic = (async () => {
    while (open) {
      await ask().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
  })();

  return {
    url: at.control,
    gateway: at.gateway,
    tokens,
    admin,
    api: (who, method, path, body) => api(who === 'admin' ? admin : tokens[who], method, path, body),
    ask,
    run: (...args) => spawnSync(binary(), [...args, '--no-input'], { encoding: 'utf8' }).status,
    stop: async () => {
      open = false;
      await traffic;
      child.kill();
      await new Promise((resolve) => child.once('exit', resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function readyFile(path: string, child: ChildProcess, said: string[]): Promise<{ control: string; gateway: string }> {
  const until = Date.now() + 60_000;
  while (Date.now() < until) {
    if (child.exitCode !== null) throw new Error(`the server ended: ${said.join('')}`);
    if (existsSync(path)) {
      try {
        return JSON.parse(readFileSync(path, 'utf8')) as { control: string; gateway: string };
      } catch {
        // Half written; look again.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the server was not ready within a minute: ${said.join('')}`);
}

/** Looks again and again until `look` gives something. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false | null>, ms = 30_000): Promise<T> {
  const end = Date.now() + ms;
  let last: unknown;
  while (Date.now() < end) {
    try {
      const found = await look();
      if (found) return found;
    } catch (e) {
      last = e;
    }
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  throw new Error(`never: ${what}${last ? ` (${String(last)})` : ''}`);
}

/** A wire to the site that can be cut and mended. */
export async function wire(site: Site): Promise<{ url: string; cut(): void; mend(): void; close(): void }> {
  const to = new URL(site.url);
  const open = new Set<Socket>();
  let whole = true;
  const server = createServer((near) => {
    if (!whole) {
      near.destroy();
      return;
    }
    const far = connect(Number(to.port), to.hostname);
    for (const [a, b] of [[near, far], [far, near]] as const) {
      open.add(a);
      a.pipe(b);
      a.on('error', () => b.destroy());
      a.on('close', () => {
        open.delete(a);
        b.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = server.address();
  if (at === null || typeof at === 'string') throw new Error('the wire has no port');
  return {
    url: `http://127.0.0.1:${at.port}`,
    cut: () => {
      whole = false;
      for (const socket of open) socket.destroy();
    },
    mend: () => {
      whole = true;
    },
    close: () => {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}
