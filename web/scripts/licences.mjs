// Writes the licences of the packages the page is built from beside it; run after the build.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
const parts = [];
const seen = new Map();
for (const [path, entry] of Object.entries(lock.packages)) {
  const folder = join(root, path);
  if (!path || entry.dev || !existsSync(folder)) continue;
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  const text = file ? readFileSync(join(folder, file), 'utf8').trim() : '';
  const name = `${path.replace(/^.*node_modules\//, '')} ${entry.version}: ${entry.license ?? 'see its package'}`;
  // The same text is written once, under all who have it.
  seen.set(text, [...(seen.get(text) ?? []), name]);
}
for (const [text, names] of seen) parts.push(`${names.join('\n')}\n\n${text}`);
writeFileSync(join(root, 'dist/licences.txt'), `${parts.join(`\n\n${'-'.repeat(72)}\n\n`)}\n`);
