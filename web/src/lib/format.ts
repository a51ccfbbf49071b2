// Numbers, times and names as people read them.

/** `rel-4aa0dcf5` for a release's digest. */
export function shortRelease(id: string | null | undefined): string {
  if (!id) return '–';
  const hex = id.startsWith('sha256:') ? id.slice(7) : id;
  return hex.startsWith('rel-') ? hex : `rel-${hex.slice(0, 8)}`;
}

/** `#7` for `ch-7`. */
export const changeNumber = (id: string) => `#${id.replace(/^ch-/, '')}`;

/** `5m ago`, in the viewer's words; `now` is passed so that it can be tested. */
export function ago(at: number, now: number): string {
  const seconds = Math.round((at - now) / 1000);
  const format = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' });
  const size = Math.abs(seconds);
  if (size < 60) return format.format(seconds, 'second');
  if (size < 3600) return format.format(Math.trunc(seconds / 60), 'minute');
  if (size < 86_400) return format.format(Math.trunc(seconds / 3600), 'hour');
  return format.format(Math.trunc(seconds / 86_400), 'day');
}

/** Date and time to the second, with the zone. */
export const absolute = (at: number) =>
  new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'long' }).format(at);

/** `14:03:12`. */
export const clock = (at: number) =>
  new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' }).format(at);

/** Dollars: two significant figures below one, else whole. */
export function money(dollars: number): string {
  const size = Math.abs(dollars);
  if (size === 0) return '$0';
  if (size >= 10) return `$${Math.round(dollars).toLocaleString('en')}`;
  return `$${Number(dollars.toPrecision(2)).toString()}`;
}

export const micros = (value: number) => money(value / 1_000_000);

/** `93 %` as a number from what the server writes (`"5%"`). */
export function percent(text: string | null | undefined): number {
  const value = Number.parseFloat(text ?? '');
  return Number.isFinite(value) ? Math.min(100, Math.max(0, value)) : 0;
}

/** A measured number, short, in the server's units: `share`, `ms`, `usd`, `tokens`, `score`. */
export function figure(value: number | null | undefined, unit = ''): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  if (unit === 'share') return `${Number((value * 100).toPrecision(3))}%`;
  const text = Number(value.toPrecision(3)).toLocaleString('en', { maximumFractionDigits: 6 });
  if (unit === 'usd') return `$${text}`;
  return unit && unit !== 'score' ? `${text} ${unit}` : text;
}

/** A span as the server writes it (`3595795ms`, `30m`), in the largest unit that fits. */
export function span(text: string): string {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  if (!match) return text;
  const size = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] as 'ms'];
  const ms = Number(match[1]) * size;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 90_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 5_400_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 129_600_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} days`;
}
