// Reads a unified diff into files and lines.

export interface DiffLine {
  kind: 'add' | 'del' | 'same' | 'hunk';
  text: string;
}
export interface DiffFile {
  path: string;
  lines: DiffLine[];
}

/** Files of a unified diff, each with its lines; what git says about itself is left out. */
export function parseDiff(text: string): DiffFile[] {
  const files: DiffFile[] = [];
  let file: DiffFile | null = null;
  let inHunk = false;
  for (const line of text.split('\n')) {
    if (line.startsWith('diff --git ')) {
      file = { path: line.replace(/^diff --git a\/.* b\//, ''), lines: [] };
      files.push(file);
      inHunk = false;
    } else if (line.startsWith('@@')) {
      if (!file) {
        file = { path: '', lines: [] };
        files.push(file);
      }
      inHunk = true;
      if (file.lines.length > 0) file.lines.push({ kind: 'hunk', text: '' });
    } else if (inHunk && file) {
      if (line.startsWith('+')) file.lines.push({ kind: 'add', text: line.slice(1) });
      else if (line.startsWith('-')) file.lines.push({ kind: 'del', text: line.slice(1) });
      else if (line.startsWith(' ')) file.lines.push({ kind: 'same', text: line.slice(1) });
    } else if (!file && line.startsWith('+++ ')) {
      file = { path: line.slice(4).replace(/^b\//, ''), lines: [] };
      files.push(file);
    }
  }
  return files;
}
