import { onTestFinished } from 'vitest';
import { type Config, parseConfig } from '../../src/config/config.js';
import type { MailTransport } from '../../src/config/options.js';
import { AuditManager } from '../../src/core/changes/audit.js';
import { Ledger } from '../../src/core/changes/ledger.js';
import type { Mail } from '../../src/core/changes/outbox.js';
import { createRuntime } from '../../src/core/runtime.js';
import { guardDb } from '../../src/db/client.js';
import { Mailer } from '../../src/mail/mailer.js';
import { createTemplates } from '../../src/templates/templates.js';
import { TestClock } from '../../src/testing/index.js';
import { SECRET, TestLogger } from './app.js';
import { freshDatabase, openDatabase, type TestDatabase } from './database.js';

/** An outbox with its mailer on a real database, without anything around; closed after the test. */
export async function startMailing(
  transport: MailTransport,
  shared: {
    database?: TestDatabase;
    clock?: TestClock;
    secrets?: string[];
    templatesDir?: string;
  } = {},
) {
  const database = shared.database ?? (await freshDatabase());
  const clock = shared.clock ?? new TestClock();
  const logger = new TestLogger();
  const connection = await openDatabase(database);
  const config: Config = parseConfig({
    baseUrl: 'https://harbour.example',
    secrets: shared.secrets ?? [SECRET],
    databaseUrl: database.url,
    appName: 'Harbour',
    mail: { from: 'Harbour <noreply@harbour.example>', transport },
    clock,
    logger,
  });
  const runtime = createRuntime(config, guardDb(connection.client));
  const ledger = new Ledger(runtime, new AuditManager(runtime));
  const { outbox } = ledger;
  const templates = createTemplates({
    appName: config.appName,
    baseUrl: config.baseUrl,
    paths: config.paths,
    ...(shared.templatesDir !== undefined && { templatesDir: shared.templatesDir }),
  });
  const mailer = new Mailer(runtime, ledger, templates);
  onTestFinished(async () => {
    await mailer.close();
    await connection.close();
    if (shared.database === undefined) await database.drop();
  });
  return {
    database,
    clock,
    logger,
    runtime,
    outbox,
    mailer,
    /** Queues mails as changes would, without telling the mailer. */
    async queue(...mails: Mail[]): Promise<void> {
      for (let begin = 0; begin < mails.length; begin += BATCH) {
        const some = mails.slice(begin, begin + BATCH);
        await runtime.db.$transaction(some.map((mail) => outbox.write(mail, runtime.now())));
      }
    },
    rows: () => runtime.db.outboxMessage.findMany({ orderBy: { createdAt: 'asc' } }),
  };
}

const BATCH = 5;

/** A mail that says which one it is, in its text. */
export function numbered(to: string, number: number): Mail {
  const data = { link: `https://harbour.example/number/${number}` };
  return { template: 'welcome', to, data };
}

/** The number of a {@link numbered} mail. */
export function numberOf(mail: { text?: string }): number {
  return Number(/\/number\/(\d+)/.exec(mail.text ?? '')?.[1]);
}
