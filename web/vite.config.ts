// Build, dev server and unit tests of the page.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';
import { texts } from './scripts/texts.mjs';

// For `npm run dev` only: where the server is, and who to be. A token given here stays in
// the proxy; the page never sees it.
const server = process.env.TIDEGATE_SERVER ?? 'http://127.0.0.1:8080';
const token = process.env.TIDEGATE_TOKEN;
const proxy = Object.fromEntries(
  ['/api', '/log', '/git', '/emergency'].map((path) => [
    path,
    { target: server, changeOrigin: true, headers: token ? { authorization: `Bearer ${token}` } : {} },
  ]),
);

export default defineConfig({
  base: './',
  plugins: [react(), texts()],
  server: { proxy },
  preview: { proxy },
  build: {
    outDir: 'dist',
    target: 'es2022',
    sourcemap: false,
    // A data: URL of a script or style would be refused by the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
  },
  test: { environment: 'happy-dom', include: ['src/**/*.test.{ts,tsx}'], setupFiles: ['src/test-setup.ts'] },
});
