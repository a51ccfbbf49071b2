// Texts: all of them live in `locales/en.json`. What every page needs is here from the start; a
// page brings its own sections by importing `virtual:texts/<section>`.
import i18next from 'i18next';
import shell from 'virtual:texts/shell';

void i18next.init({
  lng: 'en',
  fallbackLng: 'en',
  resources: { en: { translation: shell } },
  // React escapes what it shows; escaping twice would show the escapes.
  interpolation: { escapeValue: false },
  returnNull: false,
});

/** Adds sections; called by the modules the build makes of them. */
export function add(sections: object): void {
  i18next.addResourceBundle('en', 'translation', sections, true);
}

export const t = i18next.t.bind(i18next);
