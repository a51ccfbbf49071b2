// What a file of the ops repo is called by people who never see the repo.
import { t } from './i18n.ts';

export function fileName(path: string): string {
  const prompt = /prompts\/([^/]+)\/(.+)$/.exec(path);
  if (prompt) {
    const part = prompt[2] ?? '';
    if (part.endsWith('.j2')) return t('file.prompt', { name: prompt[1], part: part.replace(/\.j2$/, '') });
    return t('file.prompt_settings', { name: prompt[1] });
  }
  const last = path.split('/').pop() ?? path;
  const key = { 'rollout.yaml': 'plan', 'release.yaml': 'release', 'fallback.yaml': 'fallback', 'app.yaml': 'app' }[last];
  if (key) return t(`file.${key}`);
  const model = /^models\/(.+)\.yaml$/.exec(path);
  return model ? t('file.model', { name: model[1] }) : path;
}
