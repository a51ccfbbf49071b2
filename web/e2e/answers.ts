// B4: who wrote a change sees where it failed, today's answer beside the new one.
import { expect, it } from 'vitest';
import type { Change } from '../src/api/types.ts';
import { axe, go, overflow, settled, shot } from './browser.ts';
import { APP, example, until } from './server.ts';
import { as, plainWords, quiet, site } from './world.ts';

export function answers(): void {
  it('shows what got worse first, by reason, and pages on the server', async () => {
    const edits = [{ path: `apps/${APP}/prompts/summary/system.j2`, content: example('changes/shorter/system.j2') }];
    const change = await site.api<Change>('ana', 'POST', 'changes', { app: APP, why: 'Even shorter: without what comes next.', edits, bump: 'minor' });
    await until('the checks are done', async () => (await site.api<Change>('ana', 'GET', `changes/${change.id}`)).state === 'needs_fixes');
    const window = await as('ana', 'phone');
    const { page } = window;
    await go(page, `/changes/${change.id.replace('ch-', '')}`);
    const section = page.getByRole('region', { name: 'Answers to test cases' });
    await section.getByRole('link', { name: 'Got worse (6)' }).waitFor();
    // What was proven, and how surely.
    await section.getByText('Not worse than today\'s by more than 0.05.').waitFor();
    await section.getByRole('heading', { name: 'Leave something out (5)' }).waitFor();
    const worst = section.locator('details[open]').first();
    expect(await worst.getByRole('group', { name: 'Today\'s answer' }).innerText()).toContain('Amara wrote about order');
    expect(await worst.getByRole('group', { name: 'New answer' }).innerText()).not.toContain('Amara');
    expect(await worst.locator('del').count()).toBeGreaterThan(0);
    expect(await plainWords(page)).toEqual([]);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    await shot(page, 'answers-phone');
    expect(await axe(page)).toEqual([]);
    await page.setViewportSize({ width: 1280, height: 900 });
    await section.getByRole('link', { name: 'Different (40)' }).focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(/cases=different/);
    await section.getByRole('link', { name: 'Next cases' }).click();
    await page.waitForURL(/from=/);
    await settled(page);
    // The address is the view.
    await page.reload();
    await section.getByRole('link', { name: 'Back to the first' }).waitFor();
    await shot(page, 'answers-paged');
    quiet(window);
    await site.api('ana', 'POST', `changes/${change.id}/withdraw`, { reason: 'it was a test' });
  });
}
