// Shows what the options of brand, languages and links change on every page.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createTemplates, type TemplatesOptions } from '../../src/templates/templates.js';
import { themeCss } from '../../src/templates/theme.js';

const templatesWith = (options: Partial<TemplatesOptions>) =>
  createTemplates({ appName: 'Harbour', baseUrl: 'https://harbour.example', ...options });
const page = (options: Partial<TemplatesOptions>, locale = 'en') =>
  templatesWith(options).renderPage('auth/forgot-password', { csrfToken: 'token', locale });

test('a logo has a variant for dark, may stand alone, and links to help and terms stand below every page', () => {
  const html = page({
    brand: {
      logoUrl: '/logo.svg',
      logoDark: '/dark.svg',
      hideName: true,
      iconUrl: '/icon.png',
      stylesheet: '/own.css',
    },
    supportUrl: 'mailto:help@harbour.example',
    termsUrl: '/terms',
    privacyUrl: 'https://harbour.example/privacy',
  });
  expect(html).toContain('<source srcset="/dark.svg" media="(prefers-color-scheme: dark)">');
  expect(html).toContain('<img class="brand-logo" src="/logo.svg" alt="Harbour">');
  expect(html).not.toContain('class="brand-name"');
  expect(html).toContain('<link rel="icon" href="/icon.png">');
  expect(html.indexOf('/own.css')).toBeGreaterThan(html.indexOf('theme.css'));
  for (const link of ['mailto:help@harbour.example', '/terms', 'https://harbour.example/privacy'])
    expect(html).toContain(`<a href="${link}">`);
  expect(page({})).not.toContain('site-footer');
});

test('locales narrows the languages, and a language that is not there is named', () => {
  const german = templatesWith({ locales: ['de'] });
  expect([german.locales, german.localeFor('en-GB,en')]).toEqual([['de'], 'de']);
  expect(templatesWith({ locales: ['en'] }).localeFor('de-AT,de')).toBe('en');
  expect(() => templatesWith({ locales: ['fr'] })).toThrow('locales: there is no locales/fr.json');
});

test('a language of the host is checked for missing texts, and is written in its direction', () => {
  const templatesDir = mkdtempSync(join(tmpdir(), 'authtuna-'));
  onTestFinished(() => rmSync(templatesDir, { recursive: true }));
  mkdirSync(join(templatesDir, 'locales'));
  writeFileSync(join(templatesDir, 'locales', 'ar.json'), JSON.stringify({ common: { skip: 'x' } }));
  const warnings: string[] = [];
  const html = page({ templatesDir, logger: { warn: (message) => warnings.push(message) } }, 'ar');
  expect(html).toContain('<html lang="ar" dir="rtl">');
  expect(warnings).toEqual([expect.stringMatching(/^locales\/ar\.json lacks \d+ texts, .*common\.show/)]);
});

test('colors that are given for light do not leak into dark', () => {
  const css = themeCss({ colors: { light: { background: '#fff5f7' } } });
  expect(css).toContain('@media (prefers-color-scheme: light) { :root { --background: #fff5f7; } }');
  expect(css.replace(/@media \(prefers-color-scheme: light\) .*\n/, '')).not.toContain('#fff5f7');
  expect(page({ brand: { colors: { light: { background: '#fff5f7' } } } })).toContain(
    '<meta name="theme-color" content="#fff5f7" media="(prefers-color-scheme: light)">',
  );
});
