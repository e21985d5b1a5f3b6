// Shows that the OpenAPI document says what the mounted routes take and answer, no more and no less.
import { Validator } from '@seriousme/openapi-schema-validator';
import { expect, test } from 'vitest';
import { startApp } from '../support/app.js';

test('the document is valid OpenAPI 3.1 and names every mounted route for programs once', async () => {
  const { authTuna } = await startApp();
  const document = authTuna.openapi();
  const checked = await new Validator().validate(
    structuredClone(document) as unknown as Record<string, unknown>,
  );
  expect(checked.errors ?? []).toEqual([]);
  expect(checked.valid).toBe(true);

  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
  );
  const mounted = new Set(
    authTuna
      .routes()
      .filter(({ isPage }) => !isPage)
      .map(({ method, path }) => `${method} ${path}`),
  );
  for (const each of described) expect(mounted, each).toContain(each);
  for (const each of ['POST /auth/login', 'GET /account', 'PATCH /orgs/:orgId', 'DELETE /admin/users/:id'])
    expect(described).toContain(each);
  const ids = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods).map(({ operationId }) => operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
});

test('a route says what it takes, who may call it and what it needs', async () => {
  const { authTuna } = await startApp({ appName: 'Harbor' });
  const { info, paths, components, servers } = authTuna.openapi({ version: '2.1.0' });
  expect([info, servers]).toEqual([
    { title: 'Harbor', version: '2.1.0' },
    [{ url: expect.stringMatching(/^http:\/\/localhost/) }],
  ]);
  const login = paths['/auth/login']?.post;
  expect(login).toMatchObject({ tags: ['auth'], security: [] });
  expect(login?.requestBody).toMatchObject({
    required: true,
    content: {
      'application/json': {
        schema: {
          type: 'object',
          properties: { login: { type: 'string' }, password: { type: 'string' } },
          required: expect.arrayContaining(['login', 'password']),
          additionalProperties: false,
        },
      },
    },
  });
  const suspend = paths['/admin/users/{id}/suspend']?.post;
  expect(suspend?.description).toContain('`users:manage`');
  expect(suspend?.security).toEqual([{ session: [] }]);
  expect(suspend?.parameters).toEqual([
    { name: 'id', in: 'path', required: true, schema: { type: 'string' } },
  ]);
  expect(suspend?.responses.default).toEqual({ $ref: '#/components/responses/Problem' });
  expect(components.securitySchemes.session).toMatchObject({ in: 'cookie', name: 'at_sess' });
  expect(Object.keys(paths).some((path) => path.includes('/settings'))).toBe(false); // a page's form
});

test('what the document demands of a body is what the route refuses without', async () => {
  const { authTuna, browser } = await startApp();
  for (const [path, { post }] of Object.entries(authTuna.openapi().paths)) {
    if (post === undefined || post.security.length > 0 || path.includes('{') || path === '/auth/token')
      continue;
    const body = post.requestBody as
      | { content: { 'application/json': { schema: { required?: string[] } } } }
      | undefined;
    const required = body?.content['application/json'].schema.required ?? [];
    if (required.length === 0) continue;
    const answer = await browser().post(path, {});
    const { errors = [] } = (await answer.json()) as { errors?: { field: string }[] };
    const refused = [...new Set(errors.map(({ field }) => field))];
    expect([path, answer.status, refused.sort()]).toEqual([path, 422, [...required].sort()]);
  }
});

test('GET /auth/openapi.json is there where it was asked for, and nowhere else', async () => {
  const plain = await startApp();
  expect((await plain.browser().get('/auth/openapi.json')).status).toBe(404);
  const { authTuna, browser } = await startApp(
    {},
    { isBare: true, routes: (app, instance) => void app.use(instance.router({ openapi: true })) },
  );
  const answer = await browser().get('/auth/openapi.json');
  expect([answer.status, answer.headers.get('content-type')]).toEqual([
    200,
    'application/json; charset=utf-8',
  ]);
  expect(await answer.json()).toEqual(JSON.parse(JSON.stringify(authTuna.openapi())));
});

test('openapi() and routers refuse options they do not know', async () => {
  const { authTuna } = await startApp();
  expect(() => authTuna.openapi({ titel: 'x' } as object)).toThrow(/titel/);
  expect(() => authTuna.routers.mfa({ openapi: true } as object)).toThrow(/openapi/);
});
