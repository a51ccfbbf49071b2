// Numbers of tiles: order and units.
import type { SignalReport } from '../../api/types.ts';

const RANK: Record<string, number> = { fail: 0, inconclusive: 1, no_data: 2, hold: 3, pass: 4 };

/** Worst first; within one outcome as the plan has them. */
export function sortTiles(signals: SignalReport[]): SignalReport[] {
  const rank = (s: SignalReport) => (RANK[s.verdict.outcome] ?? 3) - (s.over > 0 ? 1.5 : 0);
  return [...signals].sort((a, b) => rank(a) - rank(b));
}

/** Shares are counted; what ends in `_ms` is time; cost is money. */
export function unitOf(signal: string, counted: boolean): string {
  if (counted) return 'share';
  if (signal.endsWith('_ms')) return 'ms';
  return signal === 'cost' ? 'usd' : '';
}
