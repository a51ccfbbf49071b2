// How much a click has to be confirmed. Slow is only the risky direction: stopping is never
// asked for a reason, going on early always is.
import type { AllowedAction, Level } from '../api/types.ts';

const LEVELS: Record<string, Level> = {
  pause: 'C1',
  resume: 'C2',
  rollback: 'C2',
  kill: 'C2',
  withdraw: 'C2',
  reject: 'C3',
  ask: 'C3',
  recheck: 'C1',
  not_worse: 'C3',
  promote: 'C3',
  unkill: 'C3',
  clear: 'C3',
};

/** What the server asks for, else what the action's kind asks for. */
export function levelOf(action: AllowedAction): Level {
  const said = action.confirm_level;
  if (said === 'C1' || said === 'C2' || said === 'C3') return said;
  return LEVELS[action.kind] ?? 'C2';
}

/** Shortest written reason for the third level, in characters. */
export const REASON_MIN = 10;

export const findAction = (actions: AllowedAction[] | undefined, kind: string) =>
  actions?.find((a) => a.kind === kind);

/** The version a write is sent with: what stops harm is never refused because something moved meanwhile. */
export const versionFor = (kind: string, generation: number): number | undefined =>
  ['pause', 'rollback', 'kill', 'stop'].includes(kind) ? undefined : generation;
