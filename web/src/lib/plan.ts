// Plan presets: how a change reaches people, written into the app's plan file. Only the steps
// are replaced; limits, signals and everything else stay as the team has them.

export type Preset = 'keep' | 'small' | 'step' | 'shadow' | 'all';
export const PRESETS: Preset[] = ['keep', 'small', 'step', 'shadow', 'all'];

const STEPS: Record<Exclude<Preset, 'keep'>, string[]> = {
  small: ['- weight: {share: 5%, hold: 30m}', '- approval: {role: approver}', '- promote: {}'],
  step: [
    '- weight: {share: 5%, hold: 30m}',
    '- weight: {share: 25%, hold: 30m}',
    '- weight: {share: 50%, hold: 30m}',
    '- promote: {}',
  ],
  shadow: [
    '- shadow: {share: 20%, until: {requests: 200}}',
    '- weight: {share: 5%, hold: 30m}',
    '- weight: {share: 25%, hold: 30m}',
    '- promote: {}',
  ],
  all: ['- approval: {role: approver}', '- promote: {}'],
};

/** The plan with its steps replaced by those of the preset. */
export function withPreset(plan: string, preset: Preset): string {
  if (preset === 'keep') return plan;
  const lines = plan.split('\n');
  const start = lines.findIndex((line) => /^steps\s*:/.test(line));
  const steps = ['steps:', ...STEPS[preset].map((step) => `  ${step}`)];
  if (start < 0) return [...trimEnd(lines), ...steps, ''].join('\n');
  let end = start + 1;
  // The block lasts while lines are indented, empty, a list or a comment.
  while (end < lines.length && /^(\s|-|#|$)/.test(lines[end] ?? '')) end += 1;
  while (end > start + 1 && (lines[end - 1] ?? '').trim() === '') end -= 1;
  return [...lines.slice(0, start), ...steps, ...lines.slice(end)].join('\n');
}

function trimEnd(lines: string[]): string[] {
  const copy = [...lines];
  while (copy.length > 0 && copy[copy.length - 1]?.trim() === '') copy.pop();
  return copy;
}
