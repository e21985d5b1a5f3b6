import { parseArgs } from 'node:util';
import type { Parts } from '../parts.js';
import { type Command, JSON_OPTION } from './command.js';
import { APP_OPTION, withInstance } from './instance.js';

/** One thing that was looked at. */
interface Finding {
  what: string;
  isGood: boolean;
  /** What was found and, where that is not good, what to do. */
  says: string;
}

const OLDEST_NODE = 20;

export const doctor: Command = {
  usage: 'npx authtuna doctor [--app ./auth.js] [--json]',
  async run(args) {
    const { values } = parseArgs({ args, options: { ...JSON_OPTION, ...APP_OPTION } });
    // What keeps an instance from starting is thrown here, with its own sentence: settings, the database, its tables.
    return withInstance(values.app, async (authTuna, parts) => {
      const findings = [
        runtime(),
        { what: 'database', isGood: true, says: 'answers, and its tables are those of this version' },
        address(parts),
        ...(await instances(authTuna)),
        ...(await mails(parts)),
        ...(values.app === undefined ? [] : [routers(authTuna)]),
      ];
      for (const finding of findings)
        if (values.json !== true)
          console.log(`${finding.isGood ? 'ok  ' : 'look'}  ${finding.what}: ${finding.says}`);
      if (values.json === true) console.log(JSON.stringify(findings));
      return findings.every(({ isGood }) => isGood) ? 0 : 1;
    });
  },
};

function runtime(): Finding {
  const isGood = Number(process.versions.node.split('.')[0]) >= OLDEST_NODE;
  return {
    what: 'Node.js',
    isGood,
    says: isGood ? process.version : `${process.version} is too old: install version ${OLDEST_NODE} or newer`,
  };
}

function address({ core: { config } }: Parts): Finding {
  return {
    what: 'baseUrl',
    isGood: config.isSecure || process.env.NODE_ENV !== 'production',
    says: config.isSecure
      ? config.baseUrl
      : `${config.baseUrl} is for development: in production it is the https address that browsers use`,
  };
}

async function instances(authTuna: Parts['authTuna']): Promise<Finding[]> {
  const { broadcast, jobs } = await authTuna.health();
  const failed = jobs.filter(({ lastNote }) => lastNote?.startsWith('failed') === true);
  return [
    {
      what: 'other instances',
      isGood: broadcast.kind === 'none' || broadcast.isUp,
      says:
        broadcast.kind === 'none'
          ? 'not told of changes; fine for one instance, others see them within session.recheckSeconds'
          : `told of changes by ${broadcast.kind}${broadcast.isUp ? '' : ', which is down: see the log of the app'}`,
    },
    {
      what: 'jobs',
      isGood: failed.length === 0,
      says:
        failed.length === 0
          ? `${jobs.length}, none failed at its last run`
          : failed.map(({ name, lastNote }) => `${name} ${lastNote}`).join('; '),
    },
  ];
}

async function mails({ authTuna, core: { config } }: Parts): Promise<Finding[]> {
  if (config.mail === undefined)
    return [{ what: 'mail', isGood: true, says: 'no transport: no message leaves this app' }];
  const { items } = await authTuna.mailer.deadLetters({ limit: 100 });
  return [
    {
      what: 'mail',
      isGood: items.length === 0,
      says:
        items.length === 0
          ? 'none was given up'
          : `${items.length}${items.length === 100 ? ' or more' : ''} could not be delivered and were given up: see mailer.deadLetters()`,
    },
  ];
}

function routers(authTuna: Parts['authTuna']): Finding {
  const { length } = authTuna.routes();
  return {
    what: 'routers',
    isGood: length > 0,
    says:
      length > 0
        ? `${length} routes are mounted`
        : 'none is mounted by this module: app.use(authTuna.router())',
  };
}
