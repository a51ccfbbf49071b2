// What people do when nothing is being rolled out: ask for changes, experiments, messages, evidence.
import { createServer } from 'node:http';
import { expect, it } from 'vitest';
import type { Change, Experiment } from '../src/api/types.ts';
import { axe, go, settled, shot } from './browser.ts';
import { APP, example, until } from './server.ts';
import { as, quiet, site } from './world.ts';

export function askForChanges(): void {
  it('is asked with a sentence, and the author reads it', async () => {
    const edits = [{ path: `apps/${APP}/prompts/summary/system.j2`, content: `${example('changes/shorter/system.j2')}\nBe kind.\n` }];
    const change = await site.api<Change>('ana', 'POST', 'changes', { app: APP, why: 'Kind words cost nothing.', edits, bump: 'patch' });
    const n = change.id.replace('ch-', '');
    await until('the checks are done', async () => (await site.api<Change>('ana', 'GET', `changes/${change.id}`)).state === 'needs_approval');
    const window = await as('priya');
    const { page } = window;
    await go(page, `/changes/${n}`);
    await page.getByRole('button', { name: 'Ask for changes', exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('textbox').fill('Say how, please: kind in which words?');
    await dialog.getByRole('button', { name: 'Ask for changes', exact: true }).click();
    await page.getByText('You asked for changes.').waitFor();
    await page.getByText('“Say how, please: kind in which words?”').first().waitFor();
    await shot(page, 'change-asked');
    expect(await axe(page)).toEqual([]);
    quiet(window);
    await site.api('ana', 'POST', `changes/${change.id}/withdraw`, { reason: 'it was a test' });
  });
}

export function experiments(): void {
  it('shows who gets what and how sure it is, and is stopped by an operator', async () => {
    const started = await until('the app is free for an experiment', () => site.api<Experiment>('omar', 'POST', 'experiments', { app: APP, name: 'tone' }));
    const window = await as('omar');
    const { page } = window;
    await go(page, '/experiments');
    await page.getByRole('link', { name: 'tone' }).click();
    await page.getByRole('heading', { level: 1, name: 'tone' }).waitFor();
    await page.getByRole('cell', { name: /^short/ }).waitFor();
    // It is looked at again and again; the page says so by itself.
    await page.getByText('Last look').waitFor({ timeout: 30_000 });
    await settled(page);
    await shot(page, 'experiment');
    expect(await axe(page)).toEqual([]);
    await page.getByRole('button', { name: 'Stop it' }).click();
    const dialog = page.getByRole('dialog');
    const reason = dialog.getByRole('textbox');
    if (await reason.count()) await reason.fill('It was only tried out.');
    await dialog.getByRole('button', { name: 'Stop it' }).click();
    await page.getByText('Ended', { exact: true }).waitFor();
    expect((await site.api<Experiment>('omar', 'GET', `experiments/${started.id}`)).phase.name).toBe('ended');
    quiet(window);
  });
}

export function messages(): void {
  it('go where an admin says, after a test', async () => {
    const got: string[] = [];
    const server = createServer((request, response) => {
      got.push(String(request.headers['webhook-id']));
      request.resume();
      response.end('ok');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const at = server.address();
    if (at === null || typeof at === 'string') throw new Error('no port');
    try {
      const window = await as('root');
      const { page } = window;
      await go(page, '/settings/notifications');
      await page.getByRole('button', { name: 'Add a channel' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Name').fill('Our desk');
      await dialog.getByRole('textbox', { name: 'Address' }).fill(`http://127.0.0.1:${at.port}/hook`);
      await dialog.getByLabel('It is inside our network').check();
      expect(await axe(page)).toEqual([]);
      await dialog.getByRole('button', { name: 'Add a channel' }).click();
      await dialog.getByText('Copy it now: it is shown only once').waitFor();
      await dialog.getByRole('button', { name: 'Close' }).last().click();
      await page.getByRole('button', { name: 'Test Our desk' }).click();
      await page.getByRole('status').filter({ hasText: '✓' }).waitFor();
      expect(got.length).toBeGreaterThan(0);
      await settled(page);
      await shot(page, 'notifications-channel');
      quiet(window);
    } finally {
      server.close();
    }
  });
}

export function evidence(): void {
  it('is two clicks away, and opens with the tool', async () => {
    const window = await as('irina');
    const { page } = window;
    await go(page, '/releases');
    await page.getByRole('row').nth(1).getByRole('link').first().click();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download evidence' }).click()]);
    expect(download.suggestedFilename()).toMatch(/^tidegate-evidence-.*\.zip$/);
    const path = await download.path();
    expect(site.run('evidence', 'verify', path)).toBe(0);
    quiet(window);
  });
}
