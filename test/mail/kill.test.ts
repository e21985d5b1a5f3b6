import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { smtp } from '../../src/index.js';
import { SECRET } from '../support/app.js';
import { numbered, numberOf, startMailing } from '../support/mailing.js';
import { startSmtpServer } from '../support/smtp-server.js';

const MAILS = 6;

test.each([
  ['while the server reads the recipient', 'recipient', 3],
  ['when the server has the mail and has not said so', 'before reply', 3],
  ['right after the server said so', 'after reply', 3],
] as const)(
  'a process killed %s loses no mail and repeats at most one, under its Message-ID',
  async (_name, point, nth) => {
    let child: ChildProcess | undefined;
    let recipients = 0;
    const server = await startSmtpServer({
      onRcptTo(_address, _session, callback) {
        recipients += 1;
        if (point === 'recipient' && recipients === nth) child?.kill('SIGKILL');
        callback();
      },
    });
    server.beforeReply = async () => {
      if (server.received.length !== nth || child === undefined) return;
      if (point === 'before reply') child.kill('SIGKILL');
      if (point === 'after reply') setImmediate(() => child?.kill('SIGKILL'));
    };
    const transport = smtp({ host: '127.0.0.1', port: server.port, tlsCa: server.ca });
    const { mailer, queue, clock, rows, database } = await startMailing(transport);
    for (let number = 0; number < MAILS; number += 1) {
      await queue(numbered(`p${number % 2}@example.com`, number));
    }

    const settings = {
      baseUrl: 'https://harbour.example',
      secret: SECRET,
      database: database.url,
      now: clock.now(),
      port: server.port,
      ca: server.ca,
    };
    const script = fileURLToPath(new URL('../support/mail-process.js', import.meta.url));
    child = fork(script, [JSON.stringify(settings)], { stdio: 'inherit' });
    onTestFinished(() => void child?.kill('SIGKILL'));
    const [, signal] = await once(child, 'exit');
    expect(signal).toBe('SIGKILL');
    child = undefined;

    // Nobody touches the mail that the dead process held until its lock has run out.
    const before = server.received.length;
    await mailer.deliver();
    clock.advance({ minutes: 2 });
    await mailer.deliver();

    expect(server.received.length).toBeGreaterThan(before);
    const ids = new Map<number, Set<string | undefined>>();
    for (const { parsed } of server.received) {
      const number = numberOf(parsed);
      ids.set(number, (ids.get(number) ?? new Set()).add(parsed.messageId));
    }
    expect([...ids.keys()].sort()).toEqual([...Array(MAILS).keys()]);
    expect([...ids.values()].every((messageIds) => messageIds.size === 1)).toBe(true);
    expect(server.received.length).toBeLessThanOrEqual(MAILS + 1);
    expect((await rows()).every(({ sentAt }) => sentAt !== null)).toBe(true);
    for (const person of [0, 1]) {
      const numbers = server.received
        .map(({ parsed }) => numberOf(parsed))
        .filter((number) => number % 2 === person);
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    }
  },
  60_000,
);
