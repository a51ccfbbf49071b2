// Which of the seven words a rollout's state is shown with. The sentence itself is the server's.
import type { Rollout } from '../api/types.ts';

export type Verdict = 'well' | 'data' | 'watching' | 'paused' | 'back' | 'stopped' | 'live';

const OF_CODE: Record<string, Verdict> = {
  going_well: 'well',
  waiting_for_evidence: 'data',
  not_enough_data: 'data',
  no_evidence: 'data',
  source_down: 'watching',
  watching: 'watching',
  waiting_for_approval: 'paused',
};

/** The verdict of a rollout: what its phase says, else what its last look said. */
export function verdictOf(rollout: Pick<Rollout, 'phase' | 'report'>): Verdict {
  switch (rollout.phase.name) {
    case 'paused':
      return 'paused';
    case 'promoting':
    case 'promoted':
      return 'live';
    case 'rolling_back':
    case 'rolled_back':
      return 'back';
    default:
      return OF_CODE[rollout.report?.summary.code ?? ''] ?? 'data';
  }
}

export const SYMBOL: Record<Verdict, string> = {
  well: '✓',
  data: '…',
  watching: '!',
  paused: '‖',
  back: '↩',
  stopped: '✕',
  live: '✓',
};
