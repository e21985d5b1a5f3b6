import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { mailSamples, pageSamples } from '../../scripts/preview-data.js';
import { createTemplates, type TemplatesOptions } from '../../src/templates/templates.js';
import { themeCss } from '../../src/templates/theme.js';

const TEMPLATES = new URL('../../templates/', import.meta.url);
const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

function harbour(options: Partial<TemplatesOptions> = {}) {
  return createTemplates({ appName: 'Harbour', baseUrl: 'https://harbour.example', ...options });
}

/** A host's templates folder with these files in it. */
function hostFolder(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'authtuna-templates-'));
  folders.push(folder);
  for (const [name, body] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), body);
  }
  return folder;
}

function templateFiles(endings: RegExp): string[] {
  return readdirSync(TEMPLATES, { recursive: true, encoding: 'utf8' }).filter((file) => endings.test(file));
}

describe('what is rendered', () => {
  const templates = harbour();

  test('every page file and every mail file has a sample, and every sample renders', () => {
    const pages = templateFiles(/^pages\/.*\.hbs$/).map((file) =>
      file.slice('pages/'.length, -'.hbs'.length),
    );
    const mails = templateFiles(/^emails\/[^/]+\.hbs$/).map((file) =>
      file.slice('emails/'.length, -'.hbs'.length),
    );
    expect([...new Set(pageSamples.map(({ name }) => name))].sort()).toEqual(pages.sort());
    expect([...new Set(mailSamples.map(({ name }) => name))].sort()).toEqual(mails.sort());
    for (const locale of templates.locales) {
      for (const { name, data } of pageSamples)
        expect(templates.renderPage(name, { ...data, locale })).toContain('</html>');
      for (const { name, data } of mailSamples)
        expect(templates.renderMail(name, { ...data, locale }).text).toContain('Harbour');
    }
  });

  test('hostile names stay text in every page and every mail (AD-1)', () => {
    const rendered = [
      ...pageSamples.map(({ name, data }) => templates.renderPage(name, data)),
      ...mailSamples.map(({ name, data }) => templates.renderMail(name, data).html),
    ];
    expect(rendered.some((html) => html.includes('&lt;img src&#x3D;x'))).toBe(true);
    for (const html of rendered) {
      expect(html).not.toMatch(/<img src=x|<script>|<a href=\/\//);
      expect(html).not.toContain('function Object()');
    }
  });

  test('no template but the layouts inserts markup unescaped (AD-1)', () => {
    const found = templateFiles(/\.hbs$/).filter((file) =>
      /\{\{\{|\{\{~?&/.test(readFileSync(new URL(file, TEMPLATES), 'utf8')),
    );
    expect(found.sort()).toEqual(['emails/html/layout.hbs', 'emails/text/layout.hbs', 'layout.hbs']);
  });

  test('no page carries inline script, style or handler, or loads from elsewhere (AD-2)', () => {
    for (const { name, data } of pageSamples.filter(
      ({ variant }) => variant !== 'hostile' && variant !== 'unknown',
    )) {
      const html = templates.renderPage(name, data);
      expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]* src=)|javascript:/i);
      for (const [, url] of html.matchAll(/<(?:script|link|img)[^>]* (?:src|href)="([^"]+)"/g)) {
        expect(url).toMatch(/^(\/(?!\/)|data:image\/)/);
      }
    }
  });

  test('every page that spends a link does it by a POST form with a csrf token (EM-4)', () => {
    const spending = [
      'auth/verify-email',
      'auth/unlock',
      'auth/confirm-email-change',
      'auth/undo-email-change',
      'passwordless/confirm',
    ];
    for (const { name, data } of pageSamples.filter((sample) => spending.includes(sample.name))) {
      const html = templates.renderPage(name, data);
      expect(html).toContain('<form method="post"');
      expect(html).toMatch(/<input type="hidden" name="csrfToken" value="[^"]{10,}"/);
      expect(html).not.toContain('http-equiv');
    }
  });

  test('a variable that was not given is an error that names the template', () => {
    expect(() => templates.renderPage('passwordless/code', { csrfToken: 'x' } as never)).toThrow(
      'pages/passwordless/code.hbs',
    );
    expect(() => templates.renderMail('verification', { to: 'a@example.com' } as never)).toThrow(
      'emails/verification.hbs',
    );
  });

  test('a field with an error is tied to it, and the summary leads to the field', () => {
    const html = templates.renderPage('auth/signup', {
      csrfToken: 'x',
      username: 'off',
      fields: [],
      minPasswordLength: 15,
      providers: [],
      problem: { code: 'invalid_input', fields: { password: 'password_breached' } },
    });
    expect(html).toMatch(
      /<input id="password"[^>]* aria-describedby="password-error password-hint" aria-invalid="true"/,
    );
    expect(html).toContain('id="password-error"');
    expect(html).toContain('<a href="#password">');
    expect(html).toContain('<title>Error: Create your account · Harbour</title>');
  });

  test('the place to return to survives in forms and in links, encoded', () => {
    const html = templates.renderPage('auth/forgot-password', { csrfToken: 'x', returnTo: '/a?b=c&d="e"' });
    expect(html).toContain('name="returnTo" value="/a?b&#x3D;c&amp;d&#x3D;&quot;e&quot;"');
    expect(html).toContain('/auth/login?returnTo=%2Fa%3Fb%3Dc%26d%3D%22e%22');
  });
});

describe('mails', () => {
  test('no name opens a line, neither in the subject nor in the text part (IN-4)', () => {
    const templatesDir = hostFolder({
      'locales/en.json': '{"mails":{"verification":{"subject":"{name}, confirm your address"}}}',
    });
    const { subject, text } = harbour({ templatesDir }).renderMail('verification', {
      to: 'bob@example.com',
      name: 'x\r\nBcc: eve@evil.example {appName} {{link}}\u2028\u202e',
      link: 'https://harbour.example/auth/verify-email',
      expiresInSeconds: 604_800,
    });
    expect(subject).toBe('x Bcc: eve@evil.example {appName} {{link}}, confirm your address');
    expect(text).not.toMatch(/^Bcc/m);
    expect(text).toContain('7 days');
  });

  test('the text part says the same and carries the bare link', () => {
    const link = 'https://harbour.example/auth/verify-email?token=a&b=c';
    const mail = harbour().renderMail('verification', {
      to: 'ada@example.com',
      name: "D'Arcy & Co",
      link,
      expiresInSeconds: 86_400,
    });
    expect(mail.text).toContain(link);
    expect(mail.text).toContain("Hello D'Arcy & Co,");
    expect(mail.text).toContain('24 hours');
    expect(mail.text).not.toMatch(/<[a-z]/i);
    expect(mail.html).toContain('href="https://harbour.example/auth/verify-email?token=a&amp;b=c"');
  });

  test('mails load nothing but the logo of the site', () => {
    const templates = harbour({ brand: { logoUrl: '/logo.png' } });
    for (const { name, data } of mailSamples) {
      const { html } = templates.renderMail(name, data);
      expect([...html.matchAll(/src="([^"]+)"/g)].map(([, url]) => url)).toEqual([
        'https://harbour.example/logo.png',
      ]);
      expect(html).not.toMatch(/<link|<script|url\(/);
    }
  });
});

describe('what a host can replace', () => {
  test('one file, and nothing else changes', () => {
    const templatesDir = hostFolder({
      'emails/welcome.hbs': '<p>Ahoy {{name}}</p>',
      'emails/welcome.txt.hbs': 'Ahoy {{name}}',
    });
    const templates = harbour({ templatesDir });
    const mail = templates.renderMail('welcome', {
      to: 'a@example.com',
      name: 'A & B',
      link: 'https://harbour.example/',
    });
    expect(mail.html).toContain('<p>Ahoy A &amp; B</p>');
    expect(mail.text).toContain('Ahoy A & B');
    expect(mail.subject).toBe('Welcome to Harbour');
  });

  test('a text, a language and an asset', () => {
    const templatesDir = hostFolder({
      'locales/en.json': '{"pages":{"auth/forgot-password":{"title":"Lost it?"}}}',
      'locales/fr.json': '{"pages":{"auth/forgot-password":{"title":"Mot de passe oublié ?"}}}',
      'assets/extra.css': 'h1 { color: red }',
      'assets/secret.pem': 'no',
    });
    const templates = harbour({ templatesDir });
    expect(templates.renderPage('auth/forgot-password', { csrfToken: 'x' })).toContain('<h1>Lost it?</h1>');
    const french = templates.renderPage('auth/forgot-password', { csrfToken: 'x', locale: 'fr' });
    expect(french).toContain('<html lang="fr">');
    expect(french).toContain('<h1>Mot de passe oublié ?</h1>');
    expect(french).toContain('Send link');
    expect(templates.asset('extra.css')?.body.toString()).toBe('h1 { color: red }');
    expect(templates.asset('secret.pem')).toBeNull();
  });

  test('two instances know nothing of each other', () => {
    const one = harbour({ templatesDir: hostFolder({ 'partials/hidden.hbs': '<!-- mine -->' }) });
    const other = harbour({ appName: 'Other' });
    expect(one.renderPage('auth/forgot-password', { csrfToken: 'x' })).toContain('<!-- mine -->');
    expect(other.renderPage('auth/forgot-password', { csrfToken: 'x' })).not.toContain('<!-- mine -->');
  });
});

describe('languages', () => {
  const templates = harbour();

  test('both have the same texts with the same places to fill in', () => {
    const texts = (locale: string) => {
      const found: Record<string, string[]> = {};
      const walk = (value: object, prefix: string) => {
        for (const [key, inner] of Object.entries(value)) {
          if (typeof inner === 'object') walk(inner, `${prefix}${key}.`);
          else
            found[prefix + key] =
              String(inner)
                .match(/\{\w+\}/g)
                ?.sort() ?? [];
        }
      };
      walk(JSON.parse(readFileSync(new URL(`locales/${locale}.json`, TEMPLATES), 'utf8')), '');
      return found;
    };
    expect(texts('de')).toEqual(texts('en'));
  });

  test.each([
    ['de-AT,de;q=0.9,en;q=0.8', 'de'],
    ['fr, de;q=0.5, en;q=0.7', 'en'],
    ['de;q=0, en', 'en'],
    ['../../etc, *', 'en'],
    [undefined, 'en'],
  ])('Accept-Language %s gives %s', (header, locale) => {
    expect(templates.localeFor(header)).toBe(locale);
  });

  test('an unknown default language is refused with the ones there are', () => {
    expect(() => harbour({ locale: 'tlh' })).toThrow('locales/tlh.json; use one of: de, en');
  });
});

describe('assets and theme', () => {
  test('assets have a type, a hashed path and an integrity value that is true', () => {
    const templates = harbour();
    for (const name of ['authtuna.css', 'theme.css', 'authtuna.js']) {
      const asset = templates.asset(name);
      expect(asset?.integrity).toBe(
        `sha256-${createHash('sha256')
          .update(asset?.body ?? '')
          .digest('base64')}`,
      );
      expect(asset?.contentType).toMatch(name.endsWith('.css') ? /^text\/css/ : /^text\/javascript/);
      expect(templates.assetPath(name)).toMatch(/^\/auth\/assets\/[\w.]+\?v=[0-9a-f]{12}$/);
    }
    for (const name of ['../layout.hbs', '..%2flayout.hbs', 'constructor', '__proto__', ''])
      expect(templates.asset(name)).toBeNull();
  });

  test.each(['red', '#fff', '#12345g', '#123456;}body{display:none', 'url(//evil.example)', ''])(
    'the color %j is refused',
    (accent) => {
      expect(() => themeCss({ colors: { light: { accent } } })).toThrow('brand.colors.light.accent');
    },
  );

  test('an unknown color name is refused', () => {
    expect(() => themeCss({ colors: { dark: { 'x;}': '#000000' } as never } })).toThrow(
      'is not a color of the theme',
    );
  });

  test.each(['//evil.example/l.png', 'https://evil.example/l.png', 'javascript:alert(1)', '/\\evil.example'])(
    'the logo %s is refused',
    (logoUrl) => {
      expect(() => harbour({ brand: { logoUrl } })).toThrow('is not a path of this site');
    },
  );

  test('a pale accent gets dark button text and a darker link', () => {
    const css = themeCss({ colors: { light: { accent: '#ffd400' } } });
    expect(css).toContain('--on-accent: #000000;');
    expect(css).toMatch(/--link: #(?!ffd400)[0-9a-f]{6};/);
    expect(css).toContain('@media (prefers-color-scheme: dark)');
  });
});
