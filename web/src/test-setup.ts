// What happy-dom leaves out and Mantine asks for.
window.matchMedia ??= ((query: string) => ({
  matches: false,
  media: query,
  addEventListener: () => {},
  removeEventListener: () => {},
})) as unknown as typeof window.matchMedia;
Object.defineProperty(document, 'fonts', { value: new EventTarget(), configurable: true });
