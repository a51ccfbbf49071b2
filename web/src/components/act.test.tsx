// What a button with an effect asks for first.
import { MantineProvider } from '@mantine/core';
import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/react';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { theme } from '../theme.ts';
import { ActionButton } from './act.tsx';
// Loaded when it is first needed; here before that, so that no test waits for it.
import './confirm-dialog.tsx';

afterEach(cleanup);

const action = (kind: string, more = {}) => ({ kind, enabled: true, consequence: 'everyone gets it', ...more });
function show(kind: string, more = {}) {
  const run = vi.fn(() => Promise.resolve());
  render(
    <MantineProvider theme={theme} env="test">
      <ActionButton action={action(kind, more)} ask={{ label: 'Do it', busy: 'Doing…', optionalReason: true }} run={run} />
    </MantineProvider>,
  );
  return run;
}
const button = (name = 'Do it') => screen.getByRole('button', { name });

describe('a button with an effect', () => {
  it('says why it cannot be used, and does nothing', () => {
    const run = show('promote', { enabled: false, why_not: 'only approvers can' });
    fireEvent.click(button());
    expect(run).not.toHaveBeenCalled();
    expect(button().getAttribute('aria-disabled')).toBe('true');
    const words = document.getElementById(button().getAttribute('aria-describedby') ?? '');
    expect(words?.textContent).toBe('Only approvers can.');
    expect(screen.queryByRole('dialog')).toBeNull();
  });
  it('pauses at once', async () => {
    const run = show('pause');
    fireEvent.click(button());
    await waitFor(() => expect(run).toHaveBeenCalledTimes(1));
  });
  it('goes back after one more click, without a reason', async () => {
    const run = show('rollback');
    fireEvent.click(button());
    const dialog = await screen.findByRole('dialog', {}, { timeout: 10_000 });
    expect(dialog.textContent).toContain('Everyone gets it.');
    expect(run).not.toHaveBeenCalled();
    fireEvent.submit(dialog.querySelector('form') as HTMLFormElement);
    await waitFor(() => expect(run).toHaveBeenCalledWith(''));
  });
  it('goes on early only with a reason', async () => {
    const run = show('promote');
    fireEvent.click(button());
    const dialog = await screen.findByRole('dialog', {}, { timeout: 10_000 });
    const form = dialog.querySelector('form') as HTMLFormElement;
    fireEvent.submit(form);
    expect(run).not.toHaveBeenCalled();
    fireEvent.change(dialog.querySelector('textarea') as HTMLTextAreaElement, { target: { value: 'measured by hand' } });
    fireEvent.submit(form);
    await waitFor(() => expect(run).toHaveBeenCalledWith('measured by hand'));
  });
});
