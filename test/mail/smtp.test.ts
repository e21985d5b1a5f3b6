import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type OutgoingMail, smtp } from '../../src/index.js';
import { selfSigned } from '../support/certificate.js';
import { verifyDkim } from '../support/dkim.js';
import { numbered, startMailing } from '../support/mailing.js';
import { startSmtpServer } from '../support/smtp-server.js';

const mail: OutgoingMail = {
  from: 'Café “Harbour” <noreply@harbour.example>',
  to: 'ada@example.com',
  subject: 'Grüße an Ada — your link',
  text: 'Hello Ada,\n\nöffne https://harbour.example/x?token=abc\n.\nBye\n',
  html: `<p>Hello <b>Ada</b> ${'long '.repeat(400)}</p>`,
  messageId: '<one@harbour.example>',
};

test('a mail arrives over STARTTLS with its parts, its Message-ID and one recipient', async () => {
  const server = await startSmtpServer();
  await smtp({ host: '127.0.0.1', port: server.port, requireTls: true, tlsCa: server.ca }).send(mail);

  expect(server.received).toHaveLength(1);
  expect(server.received[0]).toMatchObject({
    secure: true,
    from: 'noreply@harbour.example',
    to: ['ada@example.com'],
  });
  const parsed = server.received[0]?.parsed;
  expect(parsed).toMatchObject({ subject: mail.subject, messageId: mail.messageId });
  expect(parsed?.from).toMatchObject({ name: 'Café “Harbour”', address: 'noreply@harbour.example' });
  expect(parsed?.to).toMatchObject([{ address: 'ada@example.com' }]);
  expect(parsed?.text?.replace(/\r\n/g, '\n').trim()).toBe(mail.text.trim());
  expect(parsed?.html?.trim()).toBe(mail.html);
  expect(parsed?.headers.find(({ key }) => key === 'auto-submitted')?.value).toBe('auto-generated');
  expect(server.received[0]?.raw.toString()).not.toMatch(/x-mailer/i);
});

test('a mail arrives over implicit TLS with credentials', async () => {
  const server = await startSmtpServer({
    secure: true,
    authOptional: false,
    onAuth: ({ username, password }, _session, callback) =>
      username === 'app' && password === 'p4ss'
        ? callback(null, { user: username })
        : callback(new Error('no')),
  });
  const place = { host: '127.0.0.1', port: server.port, secure: true, tlsCa: server.ca, user: 'app' };
  await smtp({ ...place, password: 'p4ss' }).send(mail);
  expect(server.received[0]).toMatchObject({ user: 'app', secure: true });

  const wrong = smtp({ ...place, password: 'wrong-password' }).send(mail);
  await expect(wrong).rejects.toMatchObject({ code: 'EAUTH', permanent: false });
});

test('a certificate that no known authority signed is refused, however the connection is secured', async () => {
  const startTls = await startSmtpServer();
  const implicit = await startSmtpServer({ secure: true });
  const port = { host: '127.0.0.1' };
  await expect(smtp({ ...port, port: startTls.port, requireTls: true }).send(mail)).rejects.toThrow(
    /certificate/i,
  );
  await expect(smtp({ ...port, port: startTls.port }).send(mail)).rejects.toThrow(/certificate/i);
  await expect(smtp({ ...port, port: implicit.port, secure: true }).send(mail)).rejects.toThrow(
    /certificate/i,
  );
  expect([...startTls.received, ...implicit.received]).toEqual([]);
});

test('the log says what a certificate that is not trusted needs', async () => {
  const server = await startSmtpServer();
  const { queue, mailer, logger } = await startMailing(smtp({ host: '127.0.0.1', port: server.port }));
  await queue(numbered('ada@example.com', 1));
  await mailer.deliver();
  const [line] = logger.lines.filter(({ level }) => level === 'warn');
  expect(line?.facts).toMatchObject({ cure: expect.stringMatching(/tlsCa, or set requireTls: false/) });
});

test('a container with a name of its own may do without TLS, a host elsewhere may not', () => {
  expect(smtp({ host: 'mailpit', port: 1025, requireTls: false })).toHaveProperty('send');
  expect(() => smtp({ host: 'mail.example.com', requireTls: false })).toThrow(/in clear/);
});

test('a certificate for another name is refused', async () => {
  const { key, cert } = selfSigned('smtp.example.com');
  const server = await startSmtpServer({ key, cert });
  const transport = smtp({ host: '127.0.0.1', port: server.port, requireTls: true, tlsCa: cert });
  await expect(transport.send(mail)).rejects.toThrow(/does not match certificate/);
  expect(server.received).toEqual([]);
});

test('a server without TLS is refused, except on this machine where it may be meant', async () => {
  const server = await startSmtpServer({ hideSTARTTLS: true, disabledCommands: ['STARTTLS'] });
  const place = { host: '127.0.0.1', port: server.port };
  await expect(smtp({ ...place, requireTls: true }).send(mail)).rejects.toThrow();
  expect(server.received).toEqual([]);
  await smtp(place).send(mail);
  expect(server.received[0]).toMatchObject({ secure: false });
  expect(() => smtp({ host: 'smtp.example.com', requireTls: false })).toThrow(/in clear/);
});

test('a header value with a control character never reaches the server', async () => {
  const server = await startSmtpServer();
  const transport = smtp({ host: '127.0.0.1', port: server.port, tlsCa: server.ca });
  const hostile: Partial<OutgoingMail>[] = [
    { subject: 'Hi\r\nBcc: eve@evil.example' },
    { subject: 'Hi\nX: y' },
    { subject: 'Hi\u2028there' },
    { to: 'ada@example.com\r\nRCPT TO:<eve@evil.example>' },
    { from: 'App\r\nBcc: eve@evil.example <noreply@harbour.example>' },
    { messageId: '<a@b>\r\nBcc: eve@evil.example' },
  ];
  for (const change of hostile) {
    await expect(transport.send({ ...mail, ...change })).rejects.toMatchObject({ permanent: true });
  }
  expect(server.received).toEqual([]);
});

test('a recipient is one mailbox or nobody (DO-6)', async () => {
  const server = await startSmtpServer();
  const transport = smtp({ host: '127.0.0.1', port: server.port, tlsCa: server.ca });
  for (const to of [
    'a@site.test,b@evil.test',
    'a@site.test b@evil.test',
    'a@site.test; b@evil.test',
    'group: a@site.test;',
    '',
  ]) {
    await expect(transport.send({ ...mail, to }), to).rejects.toMatchObject({ permanent: true });
  }
  await transport.send({ ...mail, to: "o'neil+tag@site.test" });
  expect(server.received.map(({ to }) => to)).toEqual([["o'neil+tag@site.test"]]);
});

test('a mail is refused for good by 5yz to the recipient or the message, and by nothing else', async () => {
  const refusal = (responseCode: number) => Object.assign(new Error('not today'), { responseCode });
  const cases = [
    { permanent: true, onRcptTo: 550 },
    { permanent: false, onRcptTo: 450 },
    { permanent: false, onMailFrom: 550 },
    { permanent: true, onData: 554 },
    { permanent: false, onData: 451 },
  ];
  for (const { permanent, onRcptTo, onMailFrom, onData } of cases) {
    const server = await startSmtpServer({
      ...(onRcptTo && { onRcptTo: (_address, _session, callback) => callback(refusal(onRcptTo)) }),
      ...(onMailFrom && { onMailFrom: (_address, _session, callback) => callback(refusal(onMailFrom)) }),
      ...(onData && {
        onData: (stream, _session, callback) => stream.resume().on('end', () => callback(refusal(onData))),
      }),
    });
    const sending = smtp({ host: '127.0.0.1', port: server.port, tlsCa: server.ca }).send(mail);
    await expect(sending).rejects.toMatchObject({ permanent });
  }
});

test('a DKIM signature holds before a verifier of our own, and breaks with every signed part', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const folder = mkdtempSync(join(tmpdir(), 'authtuna-dkim-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const privateKeyFile = join(folder, 'dkim.pem');
  writeFileSync(privateKeyFile, pem);
  const p = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  const keyOf = (name: string) => (name === 'mail._domainkey.harbour.example' ? p : null);

  const server = await startSmtpServer();
  const place = { host: '127.0.0.1', port: server.port, tlsCa: server.ca };
  const domain = { domain: 'harbour.example', selector: 'mail' };
  await smtp({ ...place, dkim: { ...domain, privateKey: pem } }).send(mail);
  await smtp({ ...place, dkim: { ...domain, privateKeyFile } }).send(mail);

  for (const { raw } of server.received) {
    const result = verifyDkim(raw, keyOf);
    expect(result).toMatchObject({ valid: true, reason: 'pass', domain: 'harbour.example' });
    expect(result.signed).toEqual(expect.arrayContaining(['from', 'to', 'subject', 'date', 'message-id']));

    const text = raw.toString('latin1');
    expect(verifyDkim(Buffer.from(text.replace('Hello', 'Hallo'), 'latin1'), keyOf).valid).toBe(false);
    expect(verifyDkim(Buffer.from(text.replace(/^To: ada/m, 'To: eve'), 'latin1'), keyOf).valid).toBe(false);
    expect(verifyDkim(Buffer.from(text.replace('<one@harbour', '<two@harbour'), 'latin1'), keyOf).valid).toBe(
      false,
    );
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
    const otherKey = other.export({ type: 'spki', format: 'der' }).toString('base64');
    expect(verifyDkim(raw, () => otherKey).valid).toBe(false);
  }
});

test('options that cannot work are named at once', () => {
  const dkim = { domain: 'harbour.example', selector: 'mail' };
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const short = generateKeyPairSync('rsa', { modulusLength: 768 }).privateKey;
  const pemOf = (key: typeof ec) => key.export({ type: 'pkcs8', format: 'pem' }) as string;
  const host = 'smtp.example.com';
  expect(() => smtp({ host, user: 'app' })).toThrow(/belong together/);
  expect(() => smtp({ host, dkim: { ...dkim, privateKey: 'no key' } })).toThrow(/dkim key/);
  expect(() => smtp({ host, dkim: { ...dkim, privateKey: pemOf(ec) } })).toThrow(/not rsa/);
  expect(() => smtp({ host, dkim: { ...dkim, privateKey: pemOf(short) } })).toThrow(/768 bits/);
  expect(() => smtp({ host, dkim: { ...dkim, privateKeyFile: '/nowhere/dkim.pem' } })).toThrow(/dkim key/);
  expect(() => smtp({ host, dkim: { ...dkim, domain: 'a; d=b', privateKey: '' } })).toThrow(/host names/);
});
