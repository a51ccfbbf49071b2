// The anchors of the specification, as people do them. They follow one another: Ana proposes,
// Priya approves, Omar stops, Irina looks.
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import type { Change, Rollout } from '../src/api/types.ts';
import { askForChanges, evidence, experiments, messages } from './after.ts';
import { answers } from './answers.ts';
import { axe, go, open, overflow, settled, shot } from './browser.ts';
import { APP, example, until, wire } from './server.ts';
import { as, browser, hold, plainWords, quiet, site } from './world.ts';

hold();

const HOSTILE = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>{{7*7}}`;

const WIDE = { width: 1280, height: 900 };
const SHORTER = example('changes/shorter/system.j2');

async function typeInto(page: Page, text: string): Promise<void> {
  const editor = page.locator('.cm-content');
  await editor.click();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.insertText(text);
}

describe('signing in', () => {
  it('takes a token, and says what went wrong with a bad one', async () => {
    const window = await as(null);
    const { page } = window;
    await page.goto('/');
    await page.getByRole('heading', { name: 'Sign in to Tidegate' }).waitFor();
    await page.getByRole('button', { name: 'Sign in with a token instead' }).click();
    await page.getByLabel('Token', { exact: true }).fill('tgp_wrong');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('alert').waitFor();
    await shot(page, 'signin');
    expect(await axe(page)).toEqual([]);
    await page.getByLabel('Token', { exact: true }).fill(site.tokens.ana);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor();
    await page.getByRole('button', { name: /Account of/ }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in to Tidegate' }).waitFor();
    quiet(window);
  });
});

describe('U3: mistakes are shown while typing', () => {
  it('finds an unknown variable and a secret, and mends with one click', async () => {
    const window = await as('ana');
    const { page } = window;
    await go(page, `/apps/${APP}/propose`);
    await typeInto(page, `${SHORTER}\nGreet {{ custmer }}.\n`);
    const before = page.getByRole('region', { name: 'Before you send' });
    const at = performance.now();
    await before.getByText('custmer').first().waitFor();
    const took = performance.now() - at;
    console.log(`U3: shown ${Math.round(took)} ms after the last key`);
    await page.locator('.cm-lintRange, .cm-lint-marker').first().waitFor();
    await shot(page, 'propose-mistake');
    expect(await axe(page)).toEqual([]);
    await before.getByRole('button', { name: /^Replace with/ }).first().click();
    await before.getByText('custmer').first().waitFor({ state: 'detached' });
    await typeInto(page, `${SHORTER}\nUse the key AKIAQ3EGRMPL7SWJ5XKD for it.\n`);
    await before.locator('.finding-error').first().waitFor();
    quiet(window);
  });
});

let changeNumber = '';

describe('U2 and U11: Ana proposes with the keyboard alone', () => {
  it('fills three fields, meets no git words, and lands on her change', async () => {
    const window = await as('ana');
    const { page } = window;
    await go(page, `/apps/${APP}/propose`);
    expect(await plainWords(page)).toEqual([]);
    // Sent too early, it says what is missing and goes there.
    await page.getByRole('button', { name: 'Send for approval' }).click();
    await page.getByText('This cannot be sent yet').waitFor();
    await page.locator('.cm-content').focus();
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.insertText(SHORTER);
    await page.getByLabel(/^Step by step/).focus();
    await page.getByLabel(/^As this app usually does/).focus();
    await page.keyboard.press('Space');
    await page.getByLabel('Why are you changing this?').focus();
    await page.keyboard.type('One line is enough while the phone rings.');
    await page.getByText(/Draft saved/).waitFor();
    await settled(page);
    await shot(page, 'propose');
    expect(await axe(page)).toEqual([]);
    await page.getByRole('button', { name: 'Send for approval' }).focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/changes\/\d+$/);
    changeNumber = /\d+$/.exec(page.url())?.[0] ?? '';
    await page.getByText('Needs approval').first().waitFor({ timeout: 30_000 });
    await page.getByText('You wrote this change, so someone else must approve it.').waitFor();
    expect(await plainWords(page)).toEqual([]);
    await shot(page, 'change-own');
    quiet(window);
  });
});

describe('U4: Priya decides on a phone', () => {
  it('opens the link, and approves in three clicks with everything on one page', async () => {
    const window = await as('priya', 'phone');
    const { page } = window;
    await go(page, '/');
    await page.locator('#needs-you').getByRole('link').first().waitFor();
    await shot(page, 'home-phone');
    await go(page, `/changes/${changeNumber}`);
    for (const title of ['Checks', 'Approvals', 'What changes', 'What happened']) {
      expect(await page.getByRole('heading', { name: title, exact: true }).count()).toBe(1);
    }
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    await shot(page, 'change-phone');
    expect(await axe(page)).toEqual([]);
    let clicks = 0;
    const tick = page.getByLabel('I have read the checks and the difference');
    if (await tick.count()) {
      await tick.check();
      clicks += 1;
    }
    await page.getByRole('button', { name: 'Approve', exact: true }).click();
    clicks += 1;
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    await shot(page, 'approve-phone');
    expect(await axe(page)).toEqual([]);
    const reason = dialog.getByRole('textbox');
    if (await reason.count()) await reason.fill('Reads well; the warning is known.');
    await dialog.getByRole('button', { name: 'Approve', exact: true }).click();
    clicks += 1;
    await page.getByText('You approved it.').waitFor();
    expect(clicks).toBeLessThanOrEqual(3);
    quiet(window);
  });
});

let rollout = '';
describe('the live rollout', () => {
  it('says the verdict first, draws the numbers, and is there within a second of a decision', async () => {
    rollout = await until('a rollout', async () => (await site.api<Change>('ana', 'GET', `changes/ch-${changeNumber}`)).rollout);
    const window = await as('omar');
    const { page } = window;
    await go(page, `/rollouts/${rollout}`);
    await page.getByTestId('verdict').waitFor();
    await page.locator('.chart canvas').first().waitFor({ timeout: 40_000 });
    await page.locator('.pill-live').waitFor();
    await shot(page, 'rollout');
    expect(await axe(page)).toEqual([]);
    // U12: somebody else pauses; this page says so by itself.
    await site.api('omar', 'POST', `rollouts/${rollout}/actions`, { kind: 'pause' });
    const at = performance.now();
    await page.locator('.verdict-paused').first().waitFor({ timeout: 10_000 });
    const took = performance.now() - at;
    console.log(`U12: on screen ${Math.round(took)} ms after the pause was acknowledged`);
    await shot(page, 'rollout-paused');
    expect(await axe(page)).toEqual([]);
    await page.getByRole('switch', { name: 'Show as table' }).press('Space');
    await page.getByRole('columnheader', { name: 'Limit' }).waitFor();
    expect(await axe(page)).toEqual([]);
    quiet(window);
  });

  it('says when it last heard of the server, and asks instead, when the stream is cut', async () => {
    const line = await wire(site);
    const window = await open(browser, { ...site, url: line.url }, 'omar');
    const { page } = window;
    await go(page, `/rollouts/${rollout}`);
    await page.locator('.pill-live').waitFor();
    line.cut();
    await page.getByText(/Reconnecting - data from \d\d:\d\d:\d\d/).first().waitFor({ timeout: 30_000 });
    await shot(page, 'rollout-cut');
    expect(await axe(page)).toEqual([]);
    line.mend();
    await page.locator('.pill-live').waitFor({ timeout: 30_000 });
    line.close();
  });

  it('lets an operator go on with what one paused, and shows an approver why not', async () => {
    const priya = await as('priya');
    await go(priya.page, `/rollouts/${rollout}`);
    const back = priya.page.getByRole('button', { name: 'Go back', exact: true });
    expect(await back.getAttribute('aria-disabled')).toBe('true');
    // Playwright would wait for it to be enabled; people press it and are told why.
    await back.focus();
    await priya.page.keyboard.press('Enter');
    await priya.page.locator('main').getByText(/roles do not allow|Only operators/i).first().waitFor();
    const omar = await as('omar');
    await go(omar.page, `/rollouts/${rollout}`);
    await omar.page.getByRole('button', { name: 'Go on', exact: true }).click();
    await omar.page.getByRole('dialog').getByRole('button', { name: 'Go on', exact: true }).click();
    await omar.page.locator('.verdict-paused').first().waitFor({ state: 'detached' });
    // Priya's page says so too, by itself.
    await priya.page.locator('.verdict-paused').first().waitFor({ state: 'detached' });
    quiet(priya);
    quiet(omar);
  });
});

describe('U5: Omar stops it from any page', () => {
  it('needs two clicks, no reason, and is told when the gateways have it', async () => {
    const window = await as('omar');
    const { page } = window;
    await go(page, '/audit');
    await page.getByRole('button', { name: 'Stop…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Go back', exact: true }).waitFor();
    await shot(page, 'stop');
    expect(await axe(page)).toEqual([]);
    await dialog.getByRole('button', { name: 'Go back', exact: true }).click();
    await dialog.getByText(/On 1 of 1 gateways/).waitFor();
    await until('the rollout went back', async () =>
      ['rolled_back', 'rolling_back'].includes((await site.api<Rollout>('omar', 'GET', `rollouts/${rollout}`)).phase.name),
    );
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await until('the focus returns', () => page.evaluate(() => document.activeElement?.matches('button') && document.activeElement.textContent === 'Stop…'));
    quiet(window);
  });

  it('throws and takes back the kill switch with the keyboard, and the focus returns', async () => {
    const window = await as('omar');
    const { page } = window;
    await go(page, `/apps/${APP}`);
    const kill = page.getByRole('button', { name: /^Kill switch/ });
    await kill.focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    await shot(page, 'kill');
    expect(await axe(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await until('the focus returns', () => page.evaluate(() => document.activeElement?.textContent?.startsWith('Kill switch')));
    await page.keyboard.press('Enter');
    await dialog.getByRole('button', { name: /^Kill switch/ }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('The kill switch is thrown').first().waitFor();
    expect((await site.ask()).text).not.toBe('');
    await shot(page, 'killed');
    await page.getByRole('button', { name: 'Use AI again' }).first().click();
    await dialog.getByRole('textbox').fill('It was only tried out.');
    await dialog.getByRole('button', { name: 'Use AI again' }).click();
    await page.getByText('Everyone gets the prepared answer instead of AI, since').waitFor({ state: 'detached' });
    quiet(window);
  });
});

describe('U7: why did this request answer so', () => {
  it('takes one paste into the search box', async () => {
    const window = await as('omar');
    const { page } = window;
    const { request } = await site.ask();
    await until('the request is known', () => site.api('omar', 'GET', `requests/${request}/explain`).then(() => true));
    await go(page, '/');
    await page.keyboard.press('/');
    const at = performance.now();
    await page.keyboard.insertText(request);
    await page.keyboard.press('Enter');
    await page.getByTestId('why').waitFor();
    const took = performance.now() - at;
    console.log(`U7: explained ${Math.round(took)} ms after the paste`);
    await settled(page);
    await shot(page, 'why');
    expect(await axe(page)).toEqual([]);
    quiet(window);
  });
});

describe('B4: answers side by side', answers);

describe('what an approver asks for', askForChanges);

describe('hostile words', () => {
  it('stay words wherever they are shown', async () => {
    const edits = [{ path: `apps/${APP}/prompts/summary/system.j2`, content: `${SHORTER}\n${HOSTILE.replace('{{7*7}}', '')}\n` }];
    const change = await site.api<Change>('ana', 'POST', 'changes', { app: APP, why: HOSTILE, title: HOSTILE, edits, bump: 'patch' });
    const n = change.id.replace('ch-', '');
    const { request } = await site.ask({ ticket_id: 't', customer: HOSTILE, order_number: HOSTILE, transcript: HOSTILE });
    await until('the request is known', () => site.api('omar', 'GET', `requests/${request}/explain`).then(() => true));
    const window = await as('priya');
    const { page } = window;
    for (const path of ['/', '/changes', `/changes/${n}`, '/audit', `/requests/${request}`, '/why', `/apps/${APP}`, `/apps/${encodeURIComponent(HOSTILE)}`, `/requests/${encodeURIComponent(HOSTILE)}`]) {
      await go(page, path);
      expect(await page.title(), path).not.toBe('taken');
      expect(await page.locator('img[src="x"]').count(), path).toBe(0);
    }
    await go(page, `/changes/${n}`);
    expect(await page.locator('main').innerText()).toContain('<script>');
    await go(page, `/requests/${request}`);
    expect(await page.locator('main').innerText()).toContain('onerror');
    // Nothing ran, and the browser had nothing to refuse.
    quiet(window);
    await site.api('ana', 'POST', `changes/${change.id}/withdraw`, { reason: 'it was a test' });
  });
});

describe('experiments', experiments);
describe('messages', messages);
describe('U8: evidence', evidence);

describe('U10: every page, for everyone', () => {
  const pages = async (): Promise<[string, string][]> => {
    const incidents = await site.api<{ items: { id: string }[] }>('omar', 'GET', 'incidents');
    const releases = await site.api<{ items: { id: string }[] }>('omar', 'GET', 'releases');
    return [
      ['home', '/'],
      ['app', `/apps/${APP}`],
      ['propose', `/apps/${APP}/propose`],
      ['changes', '/changes'],
      ['change', `/changes/${changeNumber}`],
      ['live', '/live'],
      ['rollout-over', `/rollouts/${rollout}`],
      ['incidents', '/incidents'],
      ['incident', `/incidents/${incidents.items.at(-1)?.id}`],
      ['releases', '/releases'],
      ['release', `/releases/${encodeURIComponent(releases.items[0]?.id ?? '')}`],
      ['why-list', '/why'],
      ['audit', '/audit'],
      ['settings', '/settings'],
      ['experiments', '/experiments'],
      ['costs', '/costs'],
      ['kpis', '/kpis'],
      ['notifications', '/settings/notifications'],
      ['policies', '/settings/policies'],
      ['models', '/settings/models'],
      ['not-found', '/nothing-here'],
    ];
  };
  // One visit a page: all of axe in light and on a phone, contrast once more in the dark, and the
  // narrowest screen. What the forms share is looked at once.
  it('holds in light, in the dark, on a phone and at 320 pixels', async () => {
    const window = await as('root');
    const { page } = window;
    for (const [name, path] of await pages()) {
      await page.setViewportSize(WIDE);
      await page.emulateMedia({ colorScheme: 'light' });
      await go(page, path);
      await shot(page, `${name}-light`);
      expect(await axe(page), `${name} in light`).toEqual([]);
      await page.emulateMedia({ colorScheme: 'dark' });
      await shot(page, `${name}-dark`);
      expect(await axe(page, 'color-contrast'), `${name} in the dark`).toEqual([]);
      await page.emulateMedia({ colorScheme: 'light' });
      await page.setViewportSize({ width: 390, height: 844 });
      await shot(page, `${name}-phone`);
      expect(await axe(page), `${name} on a phone`).toEqual([]);
      expect(await overflow(page), `${name} is wider than a phone`).toBeLessThanOrEqual(0);
      await page.setViewportSize({ width: 320, height: 640 });
      expect(await overflow(page), `${name} is wider than 320 pixels`).toBeLessThanOrEqual(0);
    }
    await page.getByRole('button', { name: 'Menu' }).click();
    await page.getByRole('link', { name: 'Audit' }).waitFor();
    await shot(page, 'menu-320');
    expect(await axe(page)).toEqual([]);
    quiet(window);
  }, 180_000);

  it('holds with dialogs open', async () => {
    const window = await as('root');
    const { page } = window;
    await go(page, '/settings');
    for (const name of ['Add a person', 'Make a token']) {
      await page.getByRole('button', { name }).first().click();
      await page.getByRole('dialog').waitFor();
      expect(await axe(page), name).toEqual([]);
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    }
    await page.locator('main').focus();
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await shot(page, 'keys');
    expect(await axe(page)).toEqual([]);
    quiet(window);
  });
});

describe('Irina', () => {
  it('verifies the log, filters it, and finds nothing she could change', async () => {
    const window = await as('irina');
    const { page } = window;
    await go(page, '/audit');
    await page.getByRole('button', { name: 'Verify' }).click();
    await page.getByText('Unbroken', { exact: true }).waitFor();
    // The browser did not take the server's word for what it shows.
    await page.getByText(/This browser computed the hashes of the \d+ entries shown and found each in the log\. It checked the signature too\./).waitFor();
    await shot(page, 'audit-verified');
    expect(await axe(page)).toEqual([]);
    await page.getByLabel('On what').fill(`rollout/${rollout}`);
    await page.keyboard.press('Enter');
    await page.waitForURL(/object=/);
    await settled(page);
    expect(await page.getByRole('button', { name: 'Stop…' }).count()).toBe(0);
    await go(page, `/apps/${APP}`);
    expect(await page.getByRole('link', { name: 'Propose a change' }).count()).toBe(0);
    quiet(window);
  });
});

describe('U14: the first look', () => {
  it('has live data soon', async () => {
    const window = await as('omar');
    const { page } = window;
    const loads: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      const at = performance.now();
      await page.goto(`/rollouts/${rollout}`);
      await page.getByTestId('verdict').waitFor();
      loads.push(Math.round(performance.now() - at));
    }
    console.log(`U14: live data after ${loads.join(', ')} ms`);
    quiet(window);
  });
});
