// Debian's Chromium, one window per person and form; what every page must never do.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import type { Site, Who } from './server.ts';

const CHROMIUM = process.env.TIDEGATE_CHROMIUM ?? '/usr/bin/chromium';
export const OUTPUT = resolve(import.meta.dirname, '../test-output');
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export type Form = 'light' | 'dark' | 'phone';
const FORMS = {
  light: { viewport: { width: 1280, height: 900 }, colorScheme: 'light' },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: 'light', hasTouch: true },
} as const;

export async function launch(): Promise<Browser> {
  if (!existsSync(CHROMIUM)) {
    throw new Error(`${CHROMIUM} is not there: install it (Debian: apt-get install chromium), or name it in TIDEGATE_CHROMIUM`);
  }
  mkdirSync(OUTPUT, { recursive: true });
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

/** A signed-in window; `wrong` collects errors and refusals of the content security policy. */
export interface Window {
  page: Page;
  context: BrowserContext;
  wrong: string[];
}

export async function open(browser: Browser, site: Site, who: Who | null, form: Form = 'light'): Promise<Window> {
  const context = await browser.newContext({ ...FORMS[form], baseURL: site.url, reducedMotion: 'reduce' });
  const wrong: string[] = [];
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`));
  });
  if (who) {
    const answer = await context.request.post(`${site.url}/api/v1/session`, { data: { token: site.tokens[who] }, headers: { origin: site.url } });
    if (!answer.ok()) throw new Error(`${who} could not sign in: ${answer.status()} ${await answer.text()}`);
  }
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on('console', (m) => {
    if (m.type() === 'error' && !expected(m.text())) wrong.push(m.text());
  });
  page.on('pageerror', (e) => wrong.push(String(e)));
  return { page, context, wrong };
}

/** The browser reports each answer above 399; those are the page's to handle. */
const expected = (text: string) => text.startsWith('Failed to load resource: the server responded with a status of');

/** Goes there and waits until the page has said what it has to say. */
export async function go(page: Page, path: string): Promise<void> {
  await page.goto(path);
  await page.locator('h1').first().waitFor();
  await settled(page);
}

export async function settled(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelector('[aria-busy="true"]') === null);
}

export const shot = (page: Page, name: string) => page.screenshot({ path: join(OUTPUT, `${name}.png`), fullPage: true });

/** What axe finds against WCAG 2.0, 2.1 and 2.2, A and AA. */
export async function axe(page: Page, rule?: string): Promise<string[]> {
  // Evaluated by the debugger, which a content security policy does not concern.
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axeSource);
  const found = await page.evaluate(async (only) => {
    const run = (globalThis as unknown as { axe: { run: (c: Document, o: object) => Promise<{ violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] }> } }).axe.run;
    const result = await run(document, { runOnly: only ? { type: 'rule', values: [only] } : ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations'] });
    return result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.html.slice(0, 160)} ${n.failureSummary ?? ''}`).join(' | ')}`);
  }, rule);
  // Said at once: a test that fails says only at the end of all what it saw.
  for (const violation of found) console.log(`axe at ${page.url()}: ${violation}`);
  return found;
}

/** How many pixels the page is wider than the window. */
export const overflow = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
