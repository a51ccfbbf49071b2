// Shortcuts. They can be switched off, and none has an effect on live traffic.
import { useEffect, useRef } from 'react';
import { read } from './basics.tsx';

export const KEYS_OFF = 'tidegate-keys-off';

/** Calls what belongs to a key (`/`) or to two pressed one after the other (`g a`). */
export function useKeys(map: Record<string, () => void>): void {
  const current = useRef(map);
  current.current = map;
  useEffect(() => {
    let first = '';
    let timer: ReturnType<typeof setTimeout> | undefined;
    const press = (e: KeyboardEvent) => {
      if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
      const target = e.target as HTMLElement | null;
      if (target?.closest('input, textarea, select, [contenteditable="true"], [role="dialog"]')) return;
      if (read(KEYS_OFF) === '1') return;
      const act = current.current[first ? `${first} ${e.key}` : e.key];
      clearTimeout(timer);
      if (act) {
        e.preventDefault();
        first = '';
        act();
      } else {
        first = Object.keys(current.current).some((k) => k.startsWith(`${e.key} `)) ? e.key : '';
        timer = setTimeout(() => {
          first = '';
        }, 1500);
      }
    };
    addEventListener('keydown', press);
    return () => {
      removeEventListener('keydown', press);
      clearTimeout(timer);
    };
  }, []);
}
