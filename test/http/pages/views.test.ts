import { describe, expect, test } from 'vitest';
import { STATUS } from '../../../src/http/errors.js';
import { AuthTunaError } from '../../../src/index.js';
import { PASSWORD, startApp } from '../../support/app.js';
import { PageVisitor } from '../../support/page-visitor.js';

const HTML = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
const PAGES = [
  'login',
  'signup',
  'forgot-password',
  'verify-email',
  'passwordless/link',
  'passwordless/code',
];

describe('headers', () => {
  test('every page has the strict policy and says where nothing may leak (HD-1, D46)', async () => {
    const app = await startApp({
      baseUrl: 'https://harbour.example',
      mail: { from: 'a@harbour.example', transport: { send: async () => {} } },
    });
    for (const path of [
      ...PAGES,
      'done/email_verified',
      'reset-password',
      'nothing-here',
      'unlock',
      'errors/rate_limited',
    ]) {
      const page = await app.browser().get(`/auth/${path}`, { headers: HTML });
      const headers = Object.fromEntries(page.headers);
      expect({ path, type: headers['content-type'] }).toEqual({ path, type: 'text/html; charset=utf-8' });
      expect(headers).toMatchObject({
        'content-security-policy': expect.stringContaining("default-src 'none'"),
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
        'strict-transport-security': 'max-age=31536000; includeSubDomains',
        'cache-control': 'no-store',
      });
      expect(headers['content-security-policy']).not.toContain('unsafe');
      expect(headers).not.toHaveProperty('x-powered-by');
    }
  });

  test('whatever sets a cookie or belongs to somebody is stored by nobody (HD-2)', async () => {
    const app = await startApp();
    const { browser } = await app.signedIn();
    for (const path of ['/me', '/auth/user-info', '/auth/change-password', '/me/x.css', '/auth/login']) {
      const answer = await browser.get(path, { headers: HTML });
      expect({ path, control: answer.headers.get('cache-control') }).toEqual({ path, control: 'no-store' });
      expect(answer.headers.get('vary')).toContain('Cookie, Authorization');
    }
  });

  test('assets are cached for good under their hashed address, and are the ones that pages name', async () => {
    const app = await startApp();
    const browser = app.browser();
    const html = await (await browser.get('/auth/login', { headers: HTML })).text();
    const paths = [...html.matchAll(/(?:href|src)="(\/auth\/assets\/[^"]+)"/g)].map(([, path]) =>
      (path ?? '').replaceAll('&#x3D;', '='),
    );
    expect(paths.length).toBeGreaterThanOrEqual(3);
    for (const path of paths) {
      const asset = await browser.get(path);
      expect(asset.status).toBe(200);
      expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      expect(asset.headers.get('x-content-type-options')).toBe('nosniff');
    }
    expect((await browser.get('/auth/assets/authtuna.css')).headers.get('cache-control')).toBe('no-cache');
    expect((await browser.get('/auth/assets/..%2f..%2fpackage.json')).status).toBe(404);
  });
});

describe('errors', () => {
  test('what fails in the app is an answer without a word about how, run once, and nobody is signed out (HD-4, HD-5)', async () => {
    let runs = 0;
    const failures: unknown[] = [
      new Error('SELECT * FROM secrets'),
      new TypeError('x is not a function'),
      Object.assign(new Error('no'), { code: 'P2002' }),
      'a string',
      { status: 200 },
      new AuthTunaError('misconfigured', { message: 'the path /etc/app' }),
      new AuthTunaError('unavailable', {}, { cause: new Error('SELECT') }),
    ];
    const app = await startApp(
      {},
      {
        routes: (host) => {
          host.get('/fail/:index', (req) => {
            runs += 1;
            throw failures[Number(req.params.index)];
          });
        },
      },
    );
    const { browser } = await app.signedIn();
    for (const index of failures.keys()) {
      for (const headers of [HTML, { accept: 'application/json' }]) {
        runs = 0;
        const answer = await browser.get(`/fail/${index}`, { headers });
        const body = await answer.text();
        expect(answer.status).toBeGreaterThanOrEqual(500);
        expect(runs).toBe(1);
        expect(body).not.toMatch(/SELECT|not a function|node_modules|\/etc|P2002|at \w+ \(/);
        expect(answer.headers.getSetCookie().filter((cookie) => cookie.startsWith('at_sess='))).toEqual([]);
      }
    }
    expect((await browser.get('/me')).status).toBe(200);
  });

  test('hostile requests get a 4xx, as a page or as a problem (HD-4)', async () => {
    const app = await startApp();
    const browser = app.browser();
    for (const headers of [HTML, { accept: 'application/json' }] as Record<string, string>[]) {
      for (const path of [
        '/auth/%E0%A4%A',
        '/auth/none',
        '/auth/errors/none',
        '/auth/login/%00',
        '/projects/%ff',
      ]) {
        const answer = await browser.get(path, { headers });
        expect(answer.status).toBeGreaterThanOrEqual(400);
        expect(answer.status).toBeLessThan(500);
        expect(await answer.text()).not.toMatch(/node_modules|URIError|at \w+ \(/);
      }
      const form = { ...headers, 'content-type': 'application/x-www-form-urlencoded' };
      for (const rawBody of [
        'a=1&'.repeat(200),
        `login=${'x'.repeat(100_000)}`,
        '%',
        'login[]=1&login[]=2&csrfToken[]=1',
      ]) {
        const answer = await browser.post('/auth/login', undefined, { headers: form, rawBody });
        expect(answer.status).toBeGreaterThanOrEqual(400);
        expect(answer.status).toBeLessThan(500);
      }
    }
  });

  test('a script gets problems as JSON, a browser gets pages', async () => {
    const app = await startApp();
    const browser = app.browser();
    for (const accept of ['*/*', 'application/json', 'application/problem+json, */*'])
      expect((await browser.get('/reports', { headers: { accept } })).headers.get('content-type')).toContain(
        'application/problem+json',
      );
    const { browser: ada } = await app.signedIn();
    const page = await ada.get('/reports', { headers: { ...HTML, 'x-request-id': 'req-77' } });
    expect(page.status).toBe(403);
    const html = await page.text();
    expect(html).toContain('No access');
    expect(html).toContain('req-77');
  });

  test('what the type of a problem points to tells a browser as a page, and a script as JSON, what the error means (HD-4)', async () => {
    const app = await startApp();
    const browser = app.browser();
    const problem = (await (await browser.get('/reports')).json()) as { type: string };
    const path = new URL(problem.type).pathname;
    expect(await (await browser.get(path)).json()).toMatchObject({ code: 'unauthenticated', status: 401 });
    const page = await browser.get(path, { headers: HTML });
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.headers.getSetCookie()).toEqual([]);
    const html = await page.text();
    expect(html).toContain('What this error means');
    expect(html).toContain('<h1>Please sign in</h1>');
    expect(html).toContain('<code>unauthenticated</code> · Status 401');
    const german = await browser.get(path, { headers: { ...HTML, 'accept-language': 'de' } });
    expect(await german.text()).toContain('Was dieser Fehler bedeutet');
    const superseded = await browser.get('/auth/errors/superseded', { headers: HTML });
    expect(await superseded.text()).not.toContain('data-reload-once');
    expect((await browser.get('/auth/errors/none', { headers: HTML })).status).toBe(404);
  });

  test('every error has words of its own for a person, but the one that is about the server’s set-up', async () => {
    const app = await startApp();
    const codes = Object.keys(STATUS).filter((code) => code !== 'misconfigured');
    expect(codes.length).toBeGreaterThan(20);
    for (const language of ['en', 'de'])
      for (const code of codes) {
        const answer = await app
          .browser()
          .get(`/auth/errors/${code}`, { headers: { ...HTML, 'accept-language': language } });
        const html = await answer.text();
        expect(html).toContain(`<code>${code}</code>`);
        expect({ code, html }).not.toMatchObject({
          html: expect.stringMatching(/Something went wrong|Etwas ist schiefgegangen/),
        });
      }
  });

  test('pages speak the language that the browser asks for', async () => {
    const app = await startApp();
    const german = await app
      .browser()
      .get('/auth/login', { headers: { ...HTML, 'accept-language': 'de-AT,en;q=0.5' } });
    expect(await german.text()).toContain('<html lang="de">');
  });
});

describe('returning', () => {
  test('a browser that opens a guarded page is led to sign in and back', async () => {
    const app = await startApp();
    await app.authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
    const visitor = new PageVisitor(app.browser());
    const refused = await visitor.browser.get('/me?tab=a%20b', { headers: HTML });
    expect(refused.status).toBe(303);
    expect(refused.headers.get('location')).toBe('/auth/login?returnTo=%2Fme%3Ftab%3Da%2520b');
    const login = await visitor.open('/me?tab=a%20b');
    const wrong = await visitor.send(login, { login: 'ada@example.com', password: 'wrong umbrella quartz' });
    expect(wrong.status).toBe(401);
    expect(wrong.html).toContain('The email or password is not correct.');
    const right = await visitor.submit(wrong, { login: 'ada@example.com', password: PASSWORD });
    expect(right.headers.get('location')).toBe('/me?tab=a%20b');
  });

  test('only what opens a page is led away: posts and scripts are told', async () => {
    const app = await startApp();
    const browser = app.browser();
    expect((await browser.post('/me/x', undefined, { headers: HTML })).status).toBe(401);
    expect((await browser.get('/me')).status).toBe(401);
    expect((await browser.request('HEAD', '/me', undefined, { headers: HTML })).status).toBe(303);
  });

  test('nothing but a path of this site is returned to (D10)', async () => {
    const app = await startApp();
    await app.authTuna.users.create({ email: 'ada@example.com', password: PASSWORD, emailVerified: true });
    for (const hostile of [
      'https://evil.example',
      '//evil.example',
      '/\\evil.example',
      'javascript:alert(1)',
      '/\t/evil.example',
      '/.//evil.example',
      '/%2f/evil.example',
      'http:evil.example',
    ]) {
      const visitor = new PageVisitor(app.browser());
      const page = await visitor.open(`/auth/login?returnTo=${encodeURIComponent(hostile)}`);
      expect(page.html).not.toContain('evil.example');
      expect(page.html).not.toContain('javascript:');
      const fields = { login: 'ada@example.com', password: PASSWORD, returnTo: hostile };
      const answer = await visitor.submit(page, fields);
      expect({ hostile, location: answer.headers.get('location') }).toEqual({ hostile, location: '/' });
    }
  });

  test('several parameters of that name lead home', async () => {
    const app = await startApp();
    const page = await new PageVisitor(app.browser()).open('/auth/login?returnTo=/a&returnTo=/b');
    expect(page.fields.returnTo).toBe('/');
  });
});

describe('what a form says when it is refused', () => {
  test('a hook that throws, a person check that fails and a name that is no name are told in the form', async () => {
    const app = await startApp({
      humanCheck: async ({ token }) => token === 'person',
      hooks: {
        beforeSignUp({ email }) {
          if (email === 'eve@example.com')
            throw new AuthTunaError('forbidden', { message: 'By invitation only.' });
        },
      },
    });
    const visitor = new PageVisitor(app.browser());
    const page = await visitor.open('/auth/signup');
    const fields = { email: 'eve@example.com', password: PASSWORD };
    expect((await visitor.send(page, fields)).html).toContain('confirm that you are a person');
    const person = { ...fields, humanCheck: 'person' };
    expect((await visitor.send(page, person)).html).toContain('By invitation only.');
    const named = await visitor.send(page, { ...person, username: 'a b' });
    expect(named.html).toContain('3 to 32 letters or digits');
    expect(named.fields).toMatchObject({ email: 'eve@example.com', username: 'a b' });
  });

  test('every form that asks for a person shows the widget, also where a sign-in by mail begins', async () => {
    const app = await startApp({
      humanCheck: async ({ token }) => token === 'person',
      humanCheckWidget: { attributes: { 'data-sitekey': 'abc' }, origins: ['https://person.example'] },
      mail: { from: 'a@harbour.example', transport: { send: async () => {} } },
    });
    const visitor = new PageVisitor(app.browser());
    for (const path of ['signup', 'login', 'forgot-password', 'passwordless/link', 'passwordless/code']) {
      const page = await visitor.open(`/auth/${path}`);
      expect(page.html, path).toContain('data-sitekey="abc"');
      const answer = await app.browser().get(`/auth/${path}`, { headers: { accept: 'text/html' } });
      expect(answer.headers.get('content-security-policy'), path).toContain('https://person.example');
    }
  });

  test('closed sign-up says so and is not offered', async () => {
    const app = await startApp({ signUp: { enabled: false } });
    const visitor = new PageVisitor(app.browser());
    const closed = await visitor.open('/auth/signup');
    expect([closed.status, closed.html.includes('No new accounts')]).toEqual([403, true]);
    expect((await visitor.open('/auth/login')).html).not.toContain('/auth/signup');
    const answer = await app.browser().post('/auth/signup', { email: 'a@example.com', password: PASSWORD });
    expect(answer.status).toBe(403);
  });
});
