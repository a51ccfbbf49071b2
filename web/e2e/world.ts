// One server and one browser for all journeys, and what they all ask of a page.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';
import { launch, open, type Form, type Window } from './browser.ts';
import { start, type Site, type Who } from './server.ts';

export let site: Site;
export let browser: Browser;

/** Starts both before the first journey and ends them after the last. */
export function hold(): void {
  beforeAll(async () => {
    [site, browser] = await Promise.all([start(), launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
  });
}

export const as = (who: Who | null, form: Form = 'light'): Promise<Window> => open(browser, site, who, form);
export const quiet = (window: Window) => expect(window.wrong).toEqual([]);

/** Words people who never see git must not meet; folded technical details do not count. */
export async function plainWords(page: Page): Promise<string[]> {
  const text = await page.evaluate(() => {
    const copy = document.body.cloneNode(true) as HTMLElement;
    copy.querySelectorAll('.technical, .cm-editor, textarea, .diff, script, nav').forEach((e) => e.remove());
    return copy.textContent ?? '';
  });
  return ['canary', 'p95', 'yaml', 'sha256', 'sha-', 'commit', 'manifest'].filter((word) => new RegExp(word, 'i').test(text));
}
