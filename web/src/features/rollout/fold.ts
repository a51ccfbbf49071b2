// Looks that say the same one after the other are shown once.
import type { Report } from '../../api/types.ts';

export interface Folded {
  report: Report;
  /** How many earlier looks said the same. */
  repeats: number;
}

const sameAs = (a: Report, b: Report) =>
  a.summary.code === b.summary.code && a.step === b.step && a.phase === b.phase && a.exposure.weight === b.exposure.weight;

export function fold(reports: Report[]): Folded[] {
  const rows: Folded[] = [];
  for (const report of reports) {
    const last = rows[rows.length - 1];
    if (last && sameAs(last.report, report)) last.repeats += 1;
    else rows.push({ report, repeats: 0 });
  }
  return rows;
}
