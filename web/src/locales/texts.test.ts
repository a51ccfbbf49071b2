// Every text is in the locale, and every text in the locale is used.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { LAZY } from '../../scripts/texts.mjs';
import en from './en.json' with { type: 'json' };

const root = join(import.meta.dirname, '..');
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((f) => /\.tsx?$/.test(f) && !f.includes('.test.'));
const sources = files.map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));

/** `a.b.c` for every text; plurals by what they are asked for with. */
function keys(value: unknown, path: string[] = []): string[] {
  if (typeof value === 'string') return [path.join('.').replace(/_(one|other)$/, '')];
  return Object.entries(value as object).flatMap(([key, inner]) => keys(inner, [...path, key]));
}
const known = new Set(keys(en));

/** Keys asked for, those with a computed part as patterns. */
function asked(text: string): RegExp[] {
  const found: RegExp[] = [];
  const source = ts.createSourceFile('x.tsx', text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const exact = (s: string) => s.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const pattern = (node: ts.Node): string[] => {
    if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) return [exact(node.text)];
    if (ts.isTemplateExpression(node)) return [exact(node.head.text) + node.templateSpans.map((s) => `.+${exact(s.literal.text)}`).join('')];
    if (ts.isConditionalExpression(node)) return [...pattern(node.whenTrue), ...pattern(node.whenFalse)];
    return [];
  };
  const visit = (node: ts.Node) => {
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 't' && node.arguments[0]) {
      found.push(...pattern(node.arguments[0]).map((p) => new RegExp(`^${p}$`)));
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}
const wanted = sources.flatMap((s) => asked(s.text).map((key) => ({ key, file: s.file })));

describe('texts', () => {
  it('are all in the locale', () => {
    const missing = wanted.filter(({ key }) => ![...known].some((k) => key.test(k)));
    expect(missing.map((m) => `${m.file}: ${m.key.source}`)).toEqual([]);
  });
  it('come with the file that shows them', () => {
    const lost = sources.flatMap(({ file, text }) =>
      asked(text)
        .map((key) => /^\^(\w+)\\\./.exec(key.source)?.[1] ?? '')
        .filter((section) => LAZY.includes(section) && !text.includes(`'virtual:texts/${section}'`))
        .map((section) => `${file}: ${section}`),
    );
    expect([...new Set(lost)]).toEqual([]);
  });
  it('are all used', () => {
    expect([...known].filter((k) => !wanted.some(({ key }) => key.test(k)))).toEqual([]);
  });
  it('never stand in the code', () => {
    const found: string[] = [];
    for (const { file, text } of sources.filter((s) => s.file.endsWith('.tsx'))) {
      const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
      const visit = (node: ts.Node) => {
        const letters = (s: string) => /\p{L}{2,}/u.test(s);
        if (ts.isJsxText(node) && letters(node.text) && node.text.trim() !== 'Tidegate' && node.text.trim() !== 'ms') found.push(`${file}: ${node.text.trim()}`);
        if (
          ts.isJsxAttribute(node) &&
          /^(label|title|placeholder|description|aria-label|alt)$/.test(node.name.getText()) &&
          node.initializer &&
          ts.isStringLiteral(node.initializer) &&
          letters(node.initializer.text) &&
          !/^(req_…|change\/ch-2)$/.test(node.initializer.text)
        ) {
          found.push(`${file}: ${node.initializer.text}`);
        }
        ts.forEachChild(node, visit);
      };
      visit(source);
    }
    expect(found).toEqual([]);
  });
});
