// Measures what a first visit loads, compressed, against the budgets. Run after the build.
import { readFileSync, readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { join } from 'node:path';

const dist = new URL('../dist/', import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(join(dist, '.vite/manifest.json'), 'utf8'));
const size = (file) => gzipSync(readFileSync(join(dist, file)), { level: 9 }).length;

/** Everything that is loaded with an entry: its static imports, and theirs. */
function closure(key, seen = new Set()) {
  const chunk = manifest[key];
  if (!chunk || seen.has(key)) return seen;
  seen.add(key);
  for (const other of chunk.imports ?? []) closure(other, seen);
  return seen;
}
const filesOf = (keys) => new Set([...keys].map((k) => manifest[k].file));
const sum = (files) => [...files].reduce((total, file) => total + size(file), 0);

const shell = closure('index.html');
const rollout = closure('src/features/rollout/rollout.tsx', new Set(shell));
const editor = closure('src/features/propose/editor.tsx', new Set());
const styles = readdirSync(join(dist, 'assets')).filter((f) => f.endsWith('.css')).map((f) => join('assets', f));
const own = [...filesOf(editor)].filter((f) => !filesOf(shell).has(f));

const rows = [
  ['shell', sum(filesOf(shell)), 250],
  ['shell and live rollout', sum(filesOf(rollout)), 250],
  ['editor', sum(own), 130],
  ['styles', sum(styles), 40],
];
let over = false;
for (const [name, bytes, budget] of rows) {
  const kilo = bytes / 1000;
  over ||= kilo > budget;
  console.log(`${name.padEnd(24)} ${kilo.toFixed(1).padStart(7)} kB of ${budget} kB${kilo > budget ? '  TOO BIG' : ''}`);
}
process.exitCode = over ? 1 : 0;
