// A unified diff: added and removed lines carry a sign and a meaning, not only a colour.
import { Paper, Stack, Text } from '@mantine/core';
import { t } from '../lib/i18n.ts';
import { parseDiff, type DiffLine } from '../lib/diff.ts';

function Line({ line }: { line: DiffLine }) {
  if (line.kind === 'hunk') return <div className="diff-gap" aria-hidden="true">⋯</div>;
  const text = line.text || ' ';
  if (line.kind === 'add') {
    return (
      <ins className="diff-add">
        <span className="visually-hidden">{t('diff.added')} </span>
        <span aria-hidden="true">+ </span>
        {text}
      </ins>
    );
  }
  if (line.kind === 'del') {
    return (
      <del className="diff-del">
        <span className="visually-hidden">{t('diff.removed')} </span>
        <span aria-hidden="true">− </span>
        {text}
      </del>
    );
  }
  return (
    <div className="diff-same">
      <span aria-hidden="true">{'  '}</span>
      {text}
    </div>
  );
}

/** All files of a diff, texts before settings; `named` says what to call a file. */
export function DiffView({ text, named }: { text: string; named?: (path: string) => string }) {
  const settings = (path: string) => Number(/\.(yaml|yml|json)$/.test(path));
  const files = parseDiff(text).sort((a, b) => settings(a.path) - settings(b.path));
  if (files.length === 0) return <Text c="dimmed">{t('diff.same')}</Text>;
  return (
    <Stack gap="sm">
      {files.map((file) => (
        <Paper key={file.path} withBorder className="diff" component="section" aria-label={file.path || t('diff.one')}>
          {file.path && (
            <Text size="xs" c="dimmed" px="sm" py={6} className="wrap diff-head">
              {named ? named(file.path) : file.path}
            </Text>
          )}
          <div className="diff-body">
            {file.lines.map((line, i) => (
              // Lines may repeat; their place is their identity.
              <Line key={`${i}-${line.kind}`} line={line} />
            ))}
          </div>
        </Paper>
      ))}
    </Stack>
  );
}
