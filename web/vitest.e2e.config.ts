// Journeys of people through the page, in a real browser against the real binary.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'node',
    include: ['e2e/**/*.e2e.ts'],
    // One server and one browser for all; the journeys follow one another.
    fileParallelism: false,
    sequence: { concurrent: false },
    testTimeout: 60_000,
    bail: Number(process.env.E2E_BAIL ?? 0),
    hookTimeout: 120_000,
  },
});
