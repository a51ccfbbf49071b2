// One box for everything: what was pasted decides where it leads.

/** The page that shows what `text` names. */
export function whereTo(text: string): string {
  const word = text.trim();
  const id = encodeURIComponent(word);
  if (/^req_[a-z0-9]+$/i.test(word)) return `/requests/${id}`;
  const number = /^(?:ch-|#)?(\d+)$/i.exec(word);
  if (number) return `/changes/${number[1]}`;
  if (/^ro-\d+$/i.test(word)) return `/rollouts/${word.toLowerCase()}`;
  if (/^inc-\d+$/i.test(word)) return `/incidents/${word.toLowerCase()}`;
  if (/^(?:rel-|sha256:)[0-9a-f]+$/i.test(word)) return `/releases/${id}`;
  return `/apps/${id}`;
}
