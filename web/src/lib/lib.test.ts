// Pure functions of the page.
import { describe, expect, it } from 'vitest';
import type { Rollout } from '../api/types.ts';
import { readable } from '../features/changes/cases.tsx';
import { proofOf, signed } from './proof.ts';
import { wordDiff } from './words.ts';
import { canonical } from './canonical.ts';
import { levelOf } from './confirm.ts';
import { parseDiff } from './diff.ts';
import { ago, figure, money, percent, shortRelease, span } from './format.ts';
import { parse } from './live.ts';
import { withPreset } from './plan.ts';
import { whereTo } from './search.ts';
import { sentence } from './sentence.ts';
import { verdictOf } from './verdict.ts';

describe('evaluations', () => {
  it('marks words that only one text has', () => {
    const said = wordDiff('Order 8812 was refunded.', 'Refund of order 8812 done.') ?? [];
    const side = (kind: string) => said.filter((p) => p.kind === 'same' || p.kind === kind).map((p) => p.text).join('');
    expect(side('del')).toBe('Order 8812 was refunded.');
    expect(side('add')).toBe('Refund of order 8812 done.');
    expect(said.find((p) => p.text.includes('8812'))?.kind).toBe('same');
    expect(wordDiff('x '.repeat(5000), 'y')).toBeNull();
  });
  it('says what an interval proves, and no more', () => {
    const of = (low: number, high: number, margin?: number) => proofOf({ value: (low + high) / 2, low, high }, margin);
    expect([of(0.01, 0.05), of(-0.05, -0.01), of(-0.02, 0.04), of(-0.02, 0.04, 0.05), of(-0.06, 0.04, 0.05), of(0, 0)]).toEqual([
      'better', 'worse', 'unclear', 'as_good', 'unclear', 'as_good',
    ]);
    expect([signed(0.0325, true), signed(-0.2), signed(0)]).toEqual(['+3.3', '−0.2', '0']);
  });
  it('shows inputs as people wrote them', () => {
    expect(readable('customer: "Amara"\nchat: "a\\nb"\nodd: "')).toBe('customer: Amara\nchat:\na\nb\nodd: "');
  });
});

describe('format', () => {
  it('shows money with two significant figures, and whole dollars when there are many', () => {
    expect([0, 0.000196, 0.0021, 5.63, 640.4, 12345].map(money)).toEqual(['$0', '$0.0002', '$0.0021', '$5.6', '$640', '$12,345']);
  });
  it('reads shares as the server writes them', () => {
    expect(['5%', '12.5%', '0%', '', null, '300%'].map(percent)).toEqual([5, 12.5, 0, 0, 0, 100]);
  });
  it('shows numbers with their unit and nothing for what is not measured', () => {
    expect(figure(0.0441, 'share')).toBe('4.41%');
    expect(figure(1234.4, 'ms')).toBe('1,230 ms');
    expect(figure(0.00281, 'usd')).toBe('$0.00281');
    expect(figure(null, 'share')).toBe('–');
    expect(figure(Number.NaN)).toBe('–');
  });
  it('shows spans in a unit people read', () => {
    expect(['52ms', '1161ms', '3595795ms', '30m', '72h', 'soon'].map(span)).toEqual(['52 ms', '1 s', '60 min', '30 min', '3 days', 'soon']);
  });
  it('says how long ago', () => {
    expect(ago(0, 30_000)).toBe('30 sec. ago');
    expect(ago(0, 3_600_000)).toBe('1 hr. ago');
    expect(ago(3 * 86_400_000, 0)).toBe('in 3 days');
  });
  it('shortens releases', () => {
    expect(shortRelease('sha256:4aa0dcf5f10c')).toBe('rel-4aa0dcf5');
    expect(shortRelease('rel-4aa0')).toBe('rel-4aa0');
  });
});

describe('search', () => {
  it('knows what was pasted by its form', () => {
    const table: [string, string][] = [
      [' req_ab12 ', '/requests/req_ab12'],
      ['#41', '/changes/41'],
      ['41', '/changes/41'],
      ['ch-41', '/changes/41'],
      ['RO-2', '/rollouts/ro-2'],
      ['inc-1', '/incidents/inc-1'],
      ['rel-4aa0dcf5', '/releases/rel-4aa0dcf5'],
      ['support-summary', '/apps/support-summary'],
      ['../x', '/apps/..%2Fx'],
    ];
    for (const [text, path] of table) expect(whereTo(text)).toBe(path);
  });
});

describe('plan', () => {
  const plan = 'apiVersion: tidegate/v1\nsubject: user\nsteps:\n  - shadow: {share: 50%}\n  # a word\n  - promote: {}\nsignals:\n  - {name: error}\n';
  it('replaces the steps and nothing else', () => {
    expect(withPreset(plan, 'keep')).toBe(plan);
    const small = withPreset(plan, 'small');
    expect(small).toContain('steps:\n  - weight: {share: 5%, hold: 30m}\n');
    expect(small).not.toContain('shadow');
    expect(small.split('signals:')[1]).toBe(plan.split('signals:')[1]);
    expect(small.split('steps:')[0]).toBe(plan.split('steps:')[0]);
  });
  it('copes with steps at the end, without indent, and with none', () => {
    expect(withPreset('a: 1\nsteps:\n- promote: {}\n', 'all')).toBe('a: 1\nsteps:\n  - approval: {role: approver}\n  - promote: {}\n');
    expect(withPreset('a: 1\n', 'all')).toContain('a: 1\nsteps:\n');
  });
});

describe('diff', () => {
  it('reads files and lines, and text that looks like a head', () => {
    const files = parseDiff('diff --git a/x/y b/x/y\nindex 1..2\n--- a/x/y\n+++ b/x/y\n@@ -1,2 +1,2 @@\n same\n--- a list\n+++ plus\n');
    expect(files).toEqual([
      { path: 'x/y', lines: [{ kind: 'same', text: 'same' }, { kind: 'del', text: '-- a list' }, { kind: 'add', text: '++ plus' }] },
    ]);
  });
  it('takes a bare diff too', () => {
    expect(parseDiff('--- before\n+++ after\n@@ -1 +1 @@\n-a\n+b\n')[0]?.lines).toHaveLength(2);
    expect(parseDiff('')).toEqual([]);
  });
});

describe('verdict and confirmation', () => {
  const look = (name: Rollout['phase']['name'], code = '') =>
    verdictOf({ phase: { name }, report: code ? ({ summary: { code, params: {}, text: '' } } as never) : null });
  it('lets the phase speak before the last look', () => {
    expect(look('paused', 'going_well')).toBe('paused');
    expect(look('rolled_back', 'going_well')).toBe('back');
    expect(look('running', 'watching')).toBe('watching');
    expect(look('running', 'something_new')).toBe('data');
    expect(look('promoted')).toBe('live');
  });
  it('asks little of who stops and a reason of who goes on', () => {
    const action = (kind: string, confirm_level?: string) => ({ kind, enabled: true, consequence: '', confirm_level });
    expect(levelOf(action('pause'))).toBe('C1');
    expect(levelOf(action('rollback'))).toBe('C2');
    expect(levelOf(action('promote'))).toBe('C3');
    expect(levelOf(action('pause', 'C3'))).toBe('C3');
    expect(levelOf(action('unknown'))).toBe('C2');
  });
  it('makes sentences of asides', () => {
    expect(sentence('the plan goes on')).toBe('The plan goes on.');
    expect(sentence('`x` is it')).toBe('`x` is it.');
  });
});

describe('canonical form', () => {
  it('sorts keys and knows no spaces', () => {
    expect(canonical({ b: [1, 'x"'], a: { d: true, c: null } })).toBe('{"a":{"c":null,"d":true},"b":[1,"x\\""]}');
  });
});

describe('live', () => {
  it('takes events it knows and leaves the rest', () => {
    expect(parse('{"topic":"rollout:ro-1","version":3}')).toEqual({ topic: 'rollout:ro-1', version: 3 });
    for (const bad of ['', '{', 'null', '[]', '{"topic":3}']) expect(parse(bad)).toBeNull();
  });
});
