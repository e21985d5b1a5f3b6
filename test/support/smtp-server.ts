import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { onTestFinished } from 'vitest';
import { selfSigned } from './certificate.js';

export interface ReceivedMail {
  raw: Buffer;
  from: string;
  to: string[];
  /** Whether it came over TLS. */
  secure: boolean;
  user: string | null;
  parsed: Email;
}

export interface TestSmtpServer {
  port: number;
  /** PEM of the authority behind its certificate. */
  ca: string;
  received: ReceivedMail[];
  /** Called after a mail was received and before the server says so. */
  beforeReply: (mail: ReceivedMail) => void | Promise<void>;
  stop(): Promise<void>;
  /** On the same port as before. */
  start(): Promise<void>;
}

/** A real SMTP server on a port of its own, stopped after the test; STARTTLS with a certificate of its own unless told otherwise. */
export async function startSmtpServer(options: SMTPServerOptions = {}): Promise<TestSmtpServer> {
  const { key, cert } = selfSigned();
  let server: SMTPServer | null = null;

  const result: TestSmtpServer = {
    port: 0,
    ca: cert,
    received: [],
    beforeReply: () => {},
    async start() {
      server = new SMTPServer({
        key,
        cert,
        authOptional: true,
        closeTimeout: 100,
        async onData(stream, session, callback) {
          const chunks: Buffer[] = [];
          try {
            for await (const chunk of stream) chunks.push(chunk);
          } catch {
            return; // the client is gone
          }
          const raw = Buffer.concat(chunks);
          const mail = {
            raw,
            from: session.envelope.mailFrom ? session.envelope.mailFrom.address : '',
            to: session.envelope.rcptTo.map(({ address }) => address),
            secure: session.secure,
            user: (session.user as string | undefined) ?? null,
            parsed: await PostalMime.parse(raw),
          };
          result.received.push(mail);
          await result.beforeReply(mail);
          callback();
        },
        ...options,
      });
      server.on('error', () => {}); // a client that hangs up is not the test's business
      server.listen(result.port, '127.0.0.1');
      await once(server.server, 'listening');
      result.port = (server.server.address() as AddressInfo).port;
    },
    async stop() {
      await new Promise<void>((resolve) => (server === null ? resolve() : server.close(resolve)));
      server = null;
    },
  };
  await result.start();
  onTestFinished(() => result.stop());
  return result;
}
