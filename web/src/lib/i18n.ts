// Texts: all of them live in `locales/en.json`.
import i18next from 'i18next';
import en from '../locales/en.json' with { type: 'json' };

void i18next.init({
  lng: 'en',
  fallbackLng: 'en',
  resources: { en: { translation: en } },
  // React escapes what it shows; escaping twice would show the escapes.
  interpolation: { escapeValue: false },
  returnNull: false,
});

export const t = i18next.t.bind(i18next);
