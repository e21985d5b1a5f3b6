// Options from the environment, as containers, orchestrators and people write them.
import { expect, test } from 'vitest';
import { optionsFromEnv, smtp } from '../src/index.js';
import { SECRET } from './support/app.js';

const BASE = { AUTHTUNA_BASE_URL: 'https://app.example.com', AUTHTUNA_SECRET: SECRET };

test('variables that Kubernetes makes for a Service called authtuna are ignored, and the same names elsewhere are not', () => {
  const made = {
    AUTHTUNA_SERVICE_HOST: '10.0.0.1',
    AUTHTUNA_SERVICE_PORT: '3000',
    AUTHTUNA_SERVICE_PORT_HTTP: '3000',
    AUTHTUNA_PORT: 'tcp://10.0.0.1:3000',
    AUTHTUNA_PORT_3000_TCP: 'tcp://10.0.0.1:3000',
    AUTHTUNA_PORT_3000_TCP_PROTO: 'tcp',
    AUTHTUNA_PORT_3000_TCP_PORT: '3000',
    AUTHTUNA_PORT_3000_TCP_ADDR: '10.0.0.1',
    AUTHTUNA_DB_SERVICE_HOST: '10.0.0.2',
    AUTHTUNA_DB_PORT_5432_TCP_ADDR: '10.0.0.2',
  };
  expect(optionsFromEnv({ ...BASE, ...made })).toEqual(optionsFromEnv(BASE));
  expect(() => optionsFromEnv({ ...BASE, AUTHTUNA_PORT: '3000' })).toThrow('AUTHTUNA_PORT is not a setting');
  expect(() => optionsFromEnv({ ...BASE, ...made, AUTHTUNA_SECRT: 'x' })).toThrow('AUTHTUNA_SECRT');
});

test('values are trimmed, an empty one is none, and a setting comes from one place', () => {
  const { databaseUrl, secrets, appName } = optionsFromEnv({
    AUTHTUNA_BASE_URL: ' https://app.example.com\n',
    AUTHTUNA_SECRETS: ` ${SECRET} ,\n`,
    AUTHTUNA_DATABASE_URL: 'file:./app.db\r\n',
    AUTHTUNA_APP_NAME: '  ',
  });
  expect({ databaseUrl, secrets, appName }).toEqual({
    databaseUrl: 'file:./app.db',
    secrets: [SECRET],
    appName: undefined,
  });
  expect(() => optionsFromEnv({ ...BASE, AUTHTUNA_SECRET_FILE: '/run/secrets/authtuna' })).toThrow(
    'not both',
  );
});

test('a variable in another spelling is named in a warning, and its value is not', () => {
  const lines: string[] = [];
  const logger = { warn: (line: string) => void lines.push(line) };
  optionsFromEnv(
    { ...BASE, AUTH_TUNA_DATABASE_URL: 'file:x', authtuna_secrets: SECRET, PATH: '/bin' },
    { logger },
  );
  expect(lines).toEqual([
    'The variable AUTH_TUNA_DATABASE_URL is not read. If it is meant for AuthTuna, call it AUTHTUNA_DATABASE_URL.',
    'The variable authtuna_secrets is not read. If it is meant for AuthTuna, call it AUTHTUNA_SECRETS.',
  ]);
});

test('SMTP comes from two variables that belong together, and no message shows the password', () => {
  const from = 'App <noreply@example.com>';
  const url = 'smtp://app:p%40ss@smtp.example.com:587';
  expect(optionsFromEnv({ ...BASE, AUTHTUNA_MAIL_FROM: from, AUTHTUNA_SMTP_URL: url }).mail).toMatchObject({
    from,
    transport: { send: expect.any(Function) },
  });
  expect(() => optionsFromEnv({ ...BASE, AUTHTUNA_SMTP_URL: url })).toThrow('belong together');
  for (const wrong of [
    'smtp.example.com',
    'http://smtp.example.com',
    'smtp://app:geheim#1@smtp.example.com',
    'smtp://app:geheim%@smtp.example.com',
    'smtp://app:geheim@smtp.example.com?tls=no',
  ]) {
    const settings = { ...BASE, AUTHTUNA_MAIL_FROM: from, AUTHTUNA_SMTP_URL: wrong };
    expect(() => optionsFromEnv(settings), wrong).toThrow(/^(?!.*geheim).*AUTHTUNA_SMTP_URL/);
  }
});

test('smtp refuses a URL and options that it does not know, without their values', () => {
  for (const wrong of ['smtp://app:geheim@host', { host: 'smtp.example.com', auth: { pass: 'geheim' } }, {}])
    expect(() => smtp(wrong as never)).toThrow(/^(?!.*geheim).*smtp\(\{ host/);
});
