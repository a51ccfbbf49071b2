// Cuts `src/locales/en.json` for the bundle: `virtual:texts/shell` holds what every page needs,
// `virtual:texts/<section>` adds one section and comes with the page that imports it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const file = join(import.meta.dirname, '../src/locales/en.json');
const PREFIX = 'virtual:texts/';

/** Sections that come with their page; all others come with the shell. */
export const LAZY = [
  'propose', 'preset', 'edit', 'before', 'model', 'incidents', 'releases', 'why', 'fallback', 'message',
  'settings', 'role_does', 'keys', 'words', 'signin', 'evals', 'decide', 'decided', 'policies', 'models', 'experiments', 'notify', 'costs', 'kpis', 'try',
];

export function texts() {
  const read = () => JSON.parse(readFileSync(file, 'utf8'));
  return {
    name: 'texts',
    resolveId: (id) => (id.startsWith(PREFIX) ? `\0${id}` : undefined),
    load(id) {
      if (!id.startsWith(`\0${PREFIX}`)) return undefined;
      this.addWatchFile(file);
      const section = id.slice(PREFIX.length + 1);
      const all = read();
      if (section === 'shell') {
        const kept = Object.fromEntries(Object.entries(all).filter(([name]) => !LAZY.includes(name)));
        return `export default ${JSON.stringify(kept)};`;
      }
      if (!LAZY.includes(section) || !all[section]) throw new Error(`${section} is no section of en.json that comes with a page`);
      return `import { add } from '/src/lib/i18n.ts';\nadd(${JSON.stringify({ [section]: all[section] })});`;
    },
  };
}
