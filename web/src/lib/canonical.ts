// The canonical form of JSON (RFC 8785) for what manifests hold: objects, lists, texts, whole
// numbers, booleans. A release's name is the SHA-256 of these bytes.

export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, v]) => v !== undefined);
    // Keys are sorted by their UTF-16 units, which is what JavaScript compares.
    entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}
