// Which variables a template uses. Only for showing what is left out: the server's checks decide.

/** Names that stand in `{{ … }}` or `{% … %}`. */
export function usedVariables(text: string): Set<string> {
  const names = new Set<string>();
  for (const [, inside = ''] of text.matchAll(/\{[{%]([^{}%]*)[}%]\}/g)) {
    for (const [name] of inside.matchAll(/[A-Za-z_][A-Za-z0-9_]*/g)) names.add(name);
  }
  return names;
}
