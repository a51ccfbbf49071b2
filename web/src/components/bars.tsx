// A few numbers in a row as bars, with the same numbers as a table for who does not see them.
import { Rows } from './rows.tsx';
import { t } from '../lib/i18n.ts';

export interface Point {
  label: string;
  value: number | null;
}

export function Bars({ points, show, what, when }: { points: Point[]; show: (value: number) => string; what: string; when: string }) {
  const most = Math.max(0, ...points.map((p) => p.value ?? 0));
  const of = (value: number | null) => (value === null ? '–' : show(value));
  return (
    <div>
      <div className="bars" aria-hidden="true">
        {points.map((p) => (
          <span key={p.label} title={`${p.label}: ${of(p.value)}`} style={{ height: `${most > 0 && p.value ? Math.max(3, (p.value / most) * 100) : 0}%` }} />
        ))}
      </div>
      <details>
        <summary>{t('live.as_table')}</summary>
        <Rows items={points} id={(p) => p.label} columns={[[when, (p) => p.label], [what, (p) => of(p.value)]]} />
      </details>
    </div>
  );
}
