// Where the page begins.
import '@mantine/core/styles.css';
import './styles.css';
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { setNonce } from 'get-nonce';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Problem, UNREACHABLE } from './api/client.ts';
import './lib/i18n.ts';
import { nonce } from './lib/nonce.ts';
import { makeRouter } from './router.tsx';
import { theme, variables } from './theme.ts';

setNonce(nonce());

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: true,
      // A no will be a no again; only silence is worth asking twice.
      retry: (count, error) =>
        error instanceof Problem && (error.code === UNREACHABLE || error.status >= 500) && count < 2,
    },
  },
});
const router = makeRouter(client);
const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} cssVariablesResolver={variables} defaultColorScheme="auto" getStyleNonce={nonce}>
        <QueryClientProvider client={client}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
