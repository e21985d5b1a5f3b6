import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Transporter } from 'nodemailer';
import { z } from 'zod';
import type { MailTransport, OutgoingMail } from '../config/options.js';
import { misconfigured } from '../errors.js';
import { isLoopbackHost } from '../net/addresses.js';

export interface SmtpOptions {
  host: string;
  /** Default 587, or 465 with `secure`. */
  port?: number;
  /** TLS from the first byte. Default: whether the port is 465. Otherwise the connection is upgraded by STARTTLS. */
  secure?: boolean;
  user?: string;
  password?: string;
  /**
   * Whether a server without TLS is refused. Default true; on a loopback host false. False is possible on a loopback host,
   * and where the host is a name without a dot, such as a container's.
   */
  requireTls?: boolean;
  /** PEM of the authority that signed the server's certificate, where it is a private one. */
  tlsCa?: string;
  /** Signs every mail (RFC 6376). The key is an RSA key as PEM, or a file that holds one. */
  dkim?: { domain: string; selector: string } & ({ privateKey: string } | { privateKeyFile: string });
}

const CONNECT_MS = 10_000;
const SILENCE_MS = 30_000;
const MIN_DKIM_BITS = 1024; // RFC 8301 section 3.2; 2048 is what it recommends
const DOMAIN = /^[a-z0-9-]+(\.[a-z0-9-]+)*$/i;

// A transport is the last to see what becomes a header line.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f\u0085\u2028\u2029]/;
const MAILBOX =
  /^(?:(?<name>[^<>@]*?)\s*<(?<named>[^\s<>@,;]+@[^\s<>@,;]+)>|(?<bare>[^\s<>@,;]+@[^\s<>@,;]+))$/;

/**
 * Sends mail over SMTP: `mail: { from, transport: smtp({ host, user, password }) }`.
 *
 * The server's certificate is always checked. What a server refuses for good (5yz to the recipient or the message) is not tried
 * again; everything else is.
 * @throws AuthTunaError `misconfigured` for options that contradict each other, or a DKIM key that cannot be read or is too short
 */
export function smtp(options: SmtpOptions): MailTransport {
  requireValidOptions(options);
  const { host, user, password, tlsCa } = options;
  const isLoopback = isLoopbackHost(host);
  const secure = options.secure ?? options.port === 465;
  const requireTls = options.requireTls ?? !isLoopback;
  if (!requireTls && !isLoopback && host.includes('.'))
    throw misconfigured(
      `smtp: requireTls: false would send mails and the password in clear to ${host}; leave it out`,
    );
  if ((user === undefined) !== (password === undefined))
    throw misconfigured('smtp: user and password belong together');

  const settings = {
    host,
    port: options.port ?? (secure ? 465 : 587),
    secure,
    requireTLS: requireTls,
    ignoreTLS: options.requireTls === false,
    tls: {
      minVersion: 'TLSv1.2' as const,
      rejectUnauthorized: true,
      ...(tlsCa !== undefined && { ca: tlsCa }),
    },
    ...(user !== undefined && password !== undefined && { auth: { user, pass: password } }),
    ...(options.dkim !== undefined && { dkim: dkimOf(options.dkim) }),
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
  // Loaded with the first mail, so that no start waits for it.
  let opened: Promise<Transporter> | null = null;
  const transporter = () => {
    opened ??= import('nodemailer').then(({ createTransport }) => createTransport(settings));
    return opened;
  };

  return {
    async send(mail) {
      refuseControlCharacters(mail);
      const from = mailboxOf(mail.from);
      const to = mailboxOf(mail.to);
      try {
        await (await transporter()).sendMail({
          from,
          to,
          envelope: { from: from.address, to: [to.address] },
          subject: mail.subject,
          text: mail.text,
          html: mail.html,
          messageId: mail.messageId,
          headers: { 'Auto-Submitted': 'auto-generated' }, // RFC 3834: no out-of-office answers, please
          xMailer: false,
        });
      } catch (error) {
        throw Object.assign(error as Error, { permanent: isRefusedForGood(error) });
      }
    },
    async close() {
      (await opened)?.close();
    },
  };
}

const dkimShape = { domain: z.string(), selector: z.string() };
const smtpShape = z.strictObject({
  host: z.string().min(1),
  port: z.int().min(1).max(65_535).optional(),
  secure: z.boolean().optional(),
  user: z.string().optional(),
  password: z.string().optional(),
  requireTls: z.boolean().optional(),
  tlsCa: z.string().optional(),
  dkim: z
    .union([
      z.strictObject({ ...dkimShape, privateKey: z.string() }),
      z.strictObject({ ...dkimShape, privateKeyFile: z.string() }),
    ])
    .optional(),
});

/** No value is in the message: one of them is a password. */
function requireValidOptions(options: unknown): void {
  const result = smtpShape.safeParse(options);
  if (result.success) return;
  const [issue] = result.error.issues;
  const where = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : (issue?.path.join('.') ?? '');
  throw misconfigured(
    `smtp: ${where === '' ? 'the options' : where} cannot be used; write smtp({ host, port, secure, user, password, requireTls, tlsCa, dkim })`,
  );
}

function dkimOf(dkim: NonNullable<SmtpOptions['dkim']>) {
  const { domain, selector } = dkim;
  if (!DOMAIN.test(domain) || !DOMAIN.test(selector))
    throw misconfigured(
      'smtp: dkim.domain and dkim.selector are host names: { domain: "example.com", selector: "mail" }',
    );
  try {
    const pem = 'privateKey' in dkim ? dkim.privateKey : readFileSync(dkim.privateKeyFile, 'utf8');
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== 'rsa') throw new Error(`it is of type ${key.asymmetricKeyType}, not rsa`);
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    if (bits < MIN_DKIM_BITS) throw new Error(`it has ${bits} bits; make one with 2048`);
    return { domainName: domain, keySelector: selector, privateKey: pem };
  } catch (cause) {
    throw misconfigured(
      `smtp: the dkim key cannot be used: ${cause instanceof Error ? cause.message : cause}`,
      cause,
    );
  }
}

function refuseControlCharacters(mail: OutgoingMail): void {
  for (const name of ['from', 'to', 'subject', 'messageId'] as const) {
    if (CONTROL.test(mail[name])) {
      throw Object.assign(new Error(`${name} holds a control character`), { permanent: true });
    }
  }
}

/** `App <noreply@example.com>` or `noreply@example.com`, in parts, so that nothing in a name is read as an address. */
function mailboxOf(text: string): { name: string; address: string } {
  const { name = '', named, bare } = MAILBOX.exec(text)?.groups ?? {};
  const address = named ?? bare;
  if (address === undefined) {
    throw Object.assign(new Error('an address is not one mailbox'), { permanent: true });
  }
  return { name: name.replace(/^"(.*)"$/, '$1'), address };
}

/** 5yz to the recipient or to the message (RFC 5321 section 4.2.1); to a sign-in or a sender it is about the settings, not this mail. */
function isRefusedForGood(error: unknown): boolean {
  const { responseCode, command } = error as { responseCode?: unknown; command?: unknown };
  const isPermanent = typeof responseCode === 'number' && responseCode >= 500;
  return isPermanent && (command === 'RCPT TO' || command === 'DATA');
}
