import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { SYSTEM } from '../actor.js';
import { auditLines } from '../core/changes/audit-export.js';
import { invalid } from '../core/refusals.js';
import { type Command, JSON_OPTION } from './command.js';
import { APP_OPTION, withInstance } from './instance.js';

export const audit: Command = {
  usage: [
    'npx authtuna audit verify [--from DATE] [--to DATE] [--seal NUMBER:MAC] [--json] [--app ./auth.js]',
    'npx authtuna audit export [--format jsonl|csv] [--type T] [--actor ID] [--target ID] [--scope S] [--outcome O] [--from DATE] [--to DATE] [--q TEXT] [--app ./auth.js]',
  ].join('\n  '),
  async run([task, ...args]) {
    if (task === 'verify') return verify(args);
    if (task === 'export') return write(args);
    console.error(`authtuna audit: say verify or export\n\n  ${audit.usage}`);
    return 2;
  },
};

const text = { type: 'string' } as const;

async function verify(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { from: text, to: text, seal: text, ...JSON_OPTION, ...APP_OPTION },
  });
  const options = { ...period(values), ...(values.seal !== undefined && { seal: sealOf(values.seal) }) };
  return withInstance(values.app, async (authTuna) => {
    const verdict = await authTuna.audit.verify(options);
    if (values.json === true) console.log(JSON.stringify(verdict));
    else if (verdict.ok) console.log(`${verdict.entries} entries are as they were sealed.`);
    else console.log(`The audit log was changed. First: ${verdict.firstBad} (${verdict.reason}).`);
    return verdict.ok ? 0 : 1;
  });
}

async function write(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      format: { ...text, default: 'jsonl' },
      type: text,
      actor: text,
      target: text,
      scope: text,
      outcome: text,
      from: text,
      to: text,
      q: text,
      ...JSON_OPTION,
      ...APP_OPTION,
    },
  });
  const format = values.format;
  if (format !== 'jsonl' && format !== 'csv')
    throw invalid('--format', 'invalid_format', 'must be jsonl or csv');
  const { type, actor, target, scope, outcome, q } = values;
  const filter = {
    ...(type !== undefined && { type }),
    ...(actor !== undefined && { actorId: actor }),
    ...(target !== undefined && { targetId: target }),
    ...(scope !== undefined && { scope }),
    ...(outcome !== undefined && { outcome: outcome as 'success' }), // checked by `export`
    ...(q !== undefined && { q }),
    ...period(values),
  };
  return withInstance(values.app, async (authTuna) => {
    const entries = authTuna.audit.export(filter);
    await authTuna.audit.record({ type: 'audit.exported', actor: SYSTEM, data: { format, filter } });
    await pipeline(Readable.from(auditLines(entries, format)), process.stdout, { end: false });
    return 0;
  });
}

function period({ from, to }: { from?: string | undefined; to?: string | undefined }): {
  from?: Date;
  to?: Date;
} {
  return {
    ...(from !== undefined && { from: dateOf(from, '--from') }),
    ...(to !== undefined && { to: dateOf(to, '--to') }),
  };
}

function dateOf(value: string, option: string): Date {
  const date = new Date(value);
  if (Number.isNaN(date.getTime()))
    throw invalid(option, 'invalid_format', 'must be a date such as 2030-01-31');
  return date;
}

function sealOf(value: string): { number: number; mac: string } {
  const [, number, mac = ''] = /^(\d{1,9}):([\w-]+)$/.exec(value) ?? [];
  if (number === undefined) throw invalid('--seal', 'invalid_format', 'must be NUMBER:MAC');
  return { number: Number(number), mac };
}
