import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import chromium from '@sparticuz/chromium';
import axe from 'axe-core';
import { type Browser, chromium as playwright } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HOSTILE, mailSamples, pageSamples } from '../../scripts/preview-data.js';
import { createTemplates, type TemplatesOptions } from '../../src/templates/templates.js';
import { themeCss } from '../../src/templates/theme.js';

const CSP =
  "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
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

describe('in a browser', () => {
  const templates = harbour({ brand: { colors: { light: { accent: '#0f766e' } } } });
  let browser: Browser;
  let server: Server;
  let origin: string;

  beforeAll(async () => {
    server = createServer((req, res) => {
      const { pathname } = new URL(req.url ?? '/', 'http://localhost');
      const asset = templates.asset(pathname.slice('/auth/assets/'.length));
      const sample = pageSamples[Number(pathname.slice(1))];
      if (asset !== null) return res.setHeader('content-type', asset.contentType).end(asset.body);
      if (sample === undefined) return res.writeHead(204).end();
      res.setHeader('content-security-policy', CSP).setHeader('content-type', 'text/html; charset=utf-8');
      return res.end(templates.renderPage(sample.name, sample.data));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const executablePath = process.env.CHROME_PATH ?? (await chromium.executablePath());
    browser = await playwright.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  test.each([
    { width: 360, colorScheme: 'light' },
    { width: 1280, colorScheme: 'dark' },
  ] as const)(
    'every page is accessible, fits and keeps to the policy at $width px, $colorScheme (AD-1, AD-2)',
    async ({ width, colorScheme }) => {
      const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('dialog', (dialog) => {
        complaints.push(`a script of a hostile name ran: ${dialog.message()}`);
        void dialog.dismiss();
      });
      const cdp = await context.newCDPSession(page);
      const evaluate = async (expression: string) =>
        (await cdp.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })).result
          .value;
      for (const [index, { name, variant, data }] of pageSamples.entries()) {
        if ('code' in data && data.code === 'superseded') continue; // reloads under axe's feet
        await page.goto(`${origin}/${index}`);
        const where = `${name} ${variant}`;
        expect(
          await evaluate('document.documentElement.scrollWidth - innerWidth'),
          where,
        ).toBeLessThanOrEqual(0);
        await evaluate("for (const passkey of document.querySelectorAll('.passkey')) passkey.hidden = false");
        await evaluate(`${axe.source}; 0`);
        const violations = await evaluate(
          "axe.run(document).then((r) => r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.target).join(' ')))",
        );
        expect(violations, where).toEqual([]);
      }
      expect(complaints).toEqual([]);
      await context.close();
    },
    180_000,
  );

  test('a password can be shown, and the error summary has the focus', async () => {
    const page = await browser.newPage();
    const index = pageSamples.findIndex(
      ({ name, variant }) => name === 'auth/login' && variant === 'refused',
    );
    await page.goto(`${origin}/${index}`);
    expect(await page.locator(':focus').getAttribute('role')).toBe('alert');
    await page.getByRole('button', { name: /^Show/ }).click();
    expect(await page.locator('#password').getAttribute('type')).toBe('text');
    await page.getByRole('button', { name: /^Hide/ }).click();
    expect(await page.locator('#password').getAttribute('type')).toBe('password');
    await page.close();
  }, 30_000);

  test('recovery codes can be downloaded under the policy, without a script', async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(`${origin}/${pageSamples.findIndex(({ name }) => name === 'mfa/recovery-codes')}`);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('recovery-codes.txt');
    expect(readFileSync(await download.path(), 'utf8')).toMatch(/^k4tw-9xhm-2qvd\r\n/);
    await context.close();
  }, 30_000);

  test('sign-in goes from field to field by keyboard, in the order it is read', async () => {
    const page = await browser.newPage();
    await page.goto(
      `${origin}/${pageSamples.findIndex(({ name, variant }) => name === 'auth/login' && variant === 'plain')}`,
    );
    const order: string[] = [];
    for (let i = 0; i < 7; i++) {
      await page.keyboard.press('Tab');
      order.push(
        (await page.locator(':focus').textContent())?.trim() ||
          ((await page.locator(':focus').getAttribute('id')) ?? ''),
      );
    }
    expect(order.map((text) => text.split('\n').pop())).toEqual([
      'Skip to content',
      'Harbour',
      'login',
      'password',
      'Show',
      'Forgot your password?',
      'Sign in',
    ]);
    await page.close();
  }, 30_000);

  test('a superseded page reloads once and then stays', async () => {
    const page = await browser.newPage();
    let loads = 0;
    page.on('load', () => {
      loads += 1;
    });
    const index = pageSamples.findIndex(({ variant }) => variant === 'superseded');
    await page.goto(`${origin}/${index}`);
    await page.waitForEvent('load');
    await expect(page.waitForEvent('load', { timeout: 1500 })).rejects.toThrow();
    expect(loads).toBe(2);
    await page.close();
  }, 30_000);

  test('the hostile name is shown as text (AD-1)', async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    const index = pageSamples.findIndex(
      ({ name, variant }) => name === 'passkeys/list' && variant === 'hostile',
    );
    await page.goto(`${origin}/${index}`);
    expect(await page.locator('.item-title').textContent()).toBe(HOSTILE);
    await context.close();
  }, 30_000);
});
