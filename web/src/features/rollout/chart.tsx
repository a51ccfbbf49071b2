// The line of a tile: new version solid, today's dashed, limit dotted, interval shaded. Hidden
// from screen readers, who get the sentence beside it and the table.
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Series } from '../../api/types.ts';
import { clock, figure } from '../../lib/format.ts';
import { t } from '../../lib/i18n.ts';

const cursor = uPlot.sync('rollout');
const HEIGHT = 130;

export function Chart({ series, unit }: { series: Series['signals'][number]; unit: string }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const top = useRef(1);
  const dark = useComputedColorScheme('light') === 'dark';

  useEffect(() => {
    const host = box.current;
    if (!host) return undefined;
    const grid = dark ? '#3b3f45' : '#e3e6ea';
    const text = dark ? '#b8b8b8' : '#495057';
    const shade = dark ? 'rgba(145,167,255,.18)' : 'rgba(66,99,235,.12)';
    const axis = { stroke: text, font: '11px system-ui', grid: { stroke: grid, width: 1 }, ticks: { show: false } };
    const options: uPlot.Options = {
      width: host.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { sync: { key: cursor.key }, y: false, drag: { setScale: false } },
      // By the values and the limit: an interval that is still wide would flatten them.
      scales: { x: { time: true }, y: { range: () => [0, top.current] } },
      axes: [
        { ...axis, size: 24, space: 70, values: (_, splits) => splits.map((s) => clock(s * 1000)) },
        { ...axis, size: 68, values: (_, splits) => splits.map((s) => figure(s, unit)) },
      ],
      series: [
        {},
        { label: t('live.new'), stroke: dark ? '#91a7ff' : '#2f44ad', width: 2, points: { show: false }, spanGaps: false },
        { label: t('live.today'), stroke: dark ? '#c1c2c5' : '#5c636a', width: 1.5, dash: [6, 4], points: { show: false } },
        { label: t('tile.limit_short'), stroke: dark ? '#ff8787' : '#c92a2a', width: 1.5, dash: [2, 4], points: { show: false } },
        { stroke: 'transparent', points: { show: false } },
        { stroke: 'transparent', points: { show: false } },
      ],
      bands: [{ series: [5, 4], fill: shade }],
    };
    plot.current = new uPlot(options, [[], [], [], [], [], []], host);
    const size = new ResizeObserver(() => plot.current?.setSize({ width: host.clientWidth, height: HEIGHT }));
    size.observe(host);
    return () => {
      size.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [dark, unit]);

  useEffect(() => {
    const p = series.points;
    const values = p.flatMap((x) => [x.candidate, x.control]).filter((v): v is number => v !== null);
    top.current = Math.max(...values, series.limit ?? 0) * 1.15 || 1;
    plot.current?.setData([
      p.map((x) => x.at / 1000),
      p.map((x) => x.candidate),
      p.map((x) => x.control),
      p.map(() => series.limit),
      p.map((x) => x.lo),
      p.map((x) => x.hi),
    ]);
  }, [series, dark, unit]);

  return (
    <figure className="chart" aria-hidden="true">
      <div ref={box} />
      <figcaption>
        <span className="key key-new">{t('live.new')}</span>
        <span className="key key-today">{t('live.today')}</span>
        {series.limit !== null && <span className="key key-limit">{t('tile.limit_short')}</span>}
      </figcaption>
    </figure>
  );
}
