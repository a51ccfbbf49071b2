// Colours and defaults. Mantine's own dimmed, error and placeholder colours are below the
// contrast that WCAG AA asks for; these are above.
import { createTheme, type CSSVariablesResolver } from '@mantine/core';
import { t } from './lib/i18n.ts';

export const theme = createTheme({
  primaryColor: 'indigo',
  primaryShade: 8,
  autoContrast: true,
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif',
  fontFamilyMonospace: 'ui-monospace, "Cascadia Code", Menlo, Consolas, monospace',
  headings: { fontWeight: '650' },
  components: {
    // Colour alone does not tell a link from the words around it.
    Anchor: { defaultProps: { underline: 'always' } },
    // Named, not imported: dialogs are loaded when the first one is needed.
    Modal: { defaultProps: { closeButtonProps: { 'aria-label': t('common.close') } } },
  },
});

export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-dimmed': '#495057',
    '--mantine-color-error': '#c92a2a',
    '--mantine-color-placeholder': '#5c636a',
    '--mantine-color-anchor': '#2f44ad',
  },
  dark: {
    '--mantine-color-dimmed': '#b8b8b8',
    '--mantine-color-error': '#ff8787',
    '--mantine-color-placeholder': '#a6a7ab',
    '--mantine-color-anchor': '#a5b4fc',
  },
});
