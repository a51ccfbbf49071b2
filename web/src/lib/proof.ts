// What numbers of an evaluation prove, as a kind of sentence; the words are in the locale.
import type { Interval } from '../api/types.ts';

export type Proof = 'better' | 'worse' | 'as_good' | 'unclear';

/** What an interval of a difference shows, where more is better: `margin` is the loss allowed. */
export function proofOf(difference: Interval, margin?: number): Proof {
  if (difference.low > 0) return 'better';
  if (difference.high < 0) return 'worse';
  if (difference.low === 0 && difference.high === 0) return 'as_good';
  if (margin !== undefined && difference.low >= -margin) return 'as_good';
  return 'unclear';
}

/** `+0.03`, `−0.2`: a difference always has a sign; shares are in points of a hundred. */
export function signed(value: number, share = false): string {
  const size = Math.abs(share ? value * 100 : value);
  const text = share ? String(Number(size.toFixed(1))) : String(Number(size.toPrecision(2)));
  return Number(text) === 0 ? '0' : `${value < 0 ? '−' : '+'}${text}`;
}
