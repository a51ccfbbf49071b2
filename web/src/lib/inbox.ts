// What waits for this person, whichever of its two forms the server sends.
import type { InboxItem, Page } from '../api/types.ts';

export function inboxItems(answer: InboxItem[] | Page<InboxItem> | null | undefined): InboxItem[] {
  if (!answer) return [];
  return Array.isArray(answer) ? answer : answer.items;
}

/** The path of a link the server made, below the page's own base. */
export function pathOf(url: string): string {
  try {
    const at = new URL(url, document.baseURI);
    return at.pathname + at.search + at.hash;
  } catch {
    return '/';
  }
}
