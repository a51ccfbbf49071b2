// The prompt editor: CodeMirror with the difference to production and findings at their place.
// Tab leaves it; F7 and Shift-F7 go to the next and previous difference; Ctrl-Enter checks.
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { lintGutter, setDiagnostics, type Diagnostic } from '@codemirror/lint';
import { goToNextChunk, goToPreviousChunk, unifiedMergeView } from '@codemirror/merge';
import { Compartment, EditorState, type Text } from '@codemirror/state';
import { Decoration, EditorView, MatchDecorator, ViewPlugin, keymap, lineNumbers, type DecorationSet, type ViewUpdate } from '@codemirror/view';
import { useEffect, useRef, type RefObject } from 'react';
import type { CheckFinding } from '../../api/types.ts';
import { nonce } from '../../lib/nonce.ts';

export interface Handle {
  insert: (text: string) => void;
}
interface Props {
  label: string;
  value: string;
  original: string;
  diff: boolean;
  findings: CheckFinding[];
  onChange: (text: string) => void;
  onCheck: () => void;
  handle: RefObject<Handle | null>;
}

const marks = new MatchDecorator({
  regexp: /\{\{[^}]*\}\}|\{%[^%]*%\}/g,
  decoration: Decoration.mark({ class: 'cm-variable' }),
});
const variables = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;
    constructor(view: EditorView) {
      this.decorations = marks.createDeco(view);
    }
    update(update: ViewUpdate) {
      this.decorations = marks.updateDeco(update, this.decorations);
    }
  },
  { decorations: (v) => v.decorations },
);

const merge = new Compartment();
const difference = (original: string, on: boolean) =>
  on ? unifiedMergeView({ original, mergeControls: false, highlightChanges: true, gutter: true }) : [];

/** Findings as the editor marks them; places outside of the text are drawn in. */
export function diagnosticsOf(doc: Text, findings: CheckFinding[]): Diagnostic[] {
  return findings.flatMap((f) => {
    const n = f.line ?? f.place?.line;
    if (!n || n < 1 || n > doc.lines) return [];
    const line = doc.line(n);
    const column = f.column ?? f.place?.column;
    const from = column ? Math.min(line.from + column - 1, line.to) : line.from;
    const to = f.end_column ? Math.min(line.from + f.end_column - 1, line.to) : line.to;
    return [
      {
        from,
        to: Math.max(from, to),
        severity: f.severity === 'error' ? ('error' as const) : ('warning' as const),
        message: f.message,
      },
    ];
  });
}

export function Editor({ label, value, original, diff, findings, onChange, onCheck, handle }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef({ onChange, onCheck });
  latest.current = { onChange, onCheck };
  const start = useRef({ value, original, diff, label });

  useEffect(() => {
    if (!box.current) return undefined;
    const at = start.current;
    const editor = new EditorView({
      parent: box.current,
      state: EditorState.create({
        doc: at.value,
        extensions: [
          EditorView.cspNonce.of(nonce()),
          lineNumbers(),
          history(),
          lintGutter(),
          variables,
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': at.label, spellcheck: 'true' }),
          keymap.of([
            { key: 'F7', run: goToNextChunk },
            { key: 'Shift-F7', run: goToPreviousChunk },
            {
              key: 'Mod-Enter',
              run: () => {
                latest.current.onCheck();
                return true;
              },
            },
            ...defaultKeymap,
            ...historyKeymap,
          ]),
          EditorView.updateListener.of((u) => {
            if (u.docChanged) latest.current.onChange(u.state.doc.toString());
          }),
          merge.of(difference(at.original, at.diff)),
        ],
      }),
    });
    view.current = editor;
    handle.current = {
      insert: (text) => {
        editor.dispatch(editor.state.replaceSelection(text));
        editor.focus();
      },
    };
    return () => {
      editor.destroy();
      view.current = null;
      handle.current = null;
    };
  }, [handle]);

  // A text that came from outside (a replaced word) goes in; what was typed is there already.
  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const now = editor.state.doc.toString();
    if (now !== value) editor.dispatch({ changes: { from: 0, to: now.length, insert: value } });
  }, [value]);
  useEffect(() => {
    view.current?.dispatch({ effects: merge.reconfigure(difference(original, diff)) });
  }, [original, diff]);
  useEffect(() => {
    const editor = view.current;
    if (editor) editor.dispatch(setDiagnostics(editor.state, diagnosticsOf(editor.state.doc, findings)));
  }, [findings]);

  return <div ref={box} className="editor" />;
}
