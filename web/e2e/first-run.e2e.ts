// U1: from an empty folder to a page with a live rollout and a verdict, by one command.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { launch, settled, shot } from './browser.ts';
import { binary } from './server.ts';

it('U1: one command, one link, and there is something to see', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidegate-first-'));
  const at = performance.now();
  const child = spawn(binary(), ['demo', '--dir', join(folder, 'demo')], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const link = new Promise<string>((resolve, reject) => {
    const hear = (d: Buffer) => {
      said += d.toString();
      const found = /https?:\/\/\S+\/signin\?code=[\w-]+/.exec(said)?.[0];
      if (found) resolve(found);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.once('exit', () => reject(new Error(`the demo ended: ${said}`)));
  });
  const browser = await launch();
  try {
    const page = await browser.newPage({ reducedMotion: 'reduce' });
    await page.goto(await link);
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor();
    await page.getByRole('link', { name: 'Live', exact: true }).click();
    await page.locator('.verdict').first().waitFor({ timeout: 30_000 });
    console.log(`U1: a live rollout with a verdict ${Math.round((performance.now() - at) / 100) / 10} s after the command`);
    await page.getByRole('table').getByRole('link').first().click();
    await page.getByTestId('verdict').waitFor();
    await settled(page);
    await shot(page, 'demo');
    expect(await page.getByTestId('verdict').innerText()).not.toBe('');
  } finally {
    await browser.close();
    child.kill('SIGINT');
    await new Promise((resolve) => (child.exitCode === null ? child.once('exit', resolve) : resolve(0)));
    rmSync(folder, { recursive: true, force: true });
  }
}, 90_000);
