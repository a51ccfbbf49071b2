import type { Plugin } from 'vite';
export const LAZY: string[];
export function texts(): Plugin;
