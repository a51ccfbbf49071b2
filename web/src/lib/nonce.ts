// The nonce that lets this page, and nobody else, add styles.

/** What the server wrote into the page for this one visit. */
export const nonce = (): string =>
  document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? '';
