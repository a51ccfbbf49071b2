// What differs between two texts, word by word.

export interface Piece {
  kind: 'same' | 'add' | 'del';
  text: string;
}

/** Texts of more words than this are shown whole: the table would grow with their product. */
export const MOST_WORDS = 700;

const pieces = (text: string) => text.match(/\s*[\p{L}\p{N}_]+|\s*[^\s\p{L}\p{N}_]|\s+$/gu) ?? [];

/** The longest common subsequence of words; `null` where the texts are too long for it. */
export function wordDiff(before: string, after: string): Piece[] | null {
  const a = pieces(before);
  const b = pieces(after);
  if (a.length > MOST_WORDS || b.length > MOST_WORDS) return null;
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width);
  const at = (i: number, j: number) => common[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const found: Piece[] = [];
  const put = (kind: Piece['kind'], text: string) => {
    const last = found.at(-1);
    if (last?.kind === kind) last.text += text;
    else found.push({ kind, text });
  };
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      put('same', a[i] ?? '');
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) {
      put('del', a[i] ?? '');
      i += 1;
    } else {
      put('add', b[j] ?? '');
      j += 1;
    }
  }
  return found;
}
