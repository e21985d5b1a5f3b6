#!/usr/bin/env node
import { AuthTunaError } from '../errors.js';
import { audit } from './audit.js';
import type { Command } from './command.js';
import { createAdmin } from './create-admin.js';
import { generate } from './generate.js';
import { importUsers } from './import/import.js';
import { init } from './init.js';
import { migrateDatabase } from './migrate.js';
import { newSecret } from './new-secret.js';
import { secrets } from './secrets.js';
import { why } from './why.js';

const COMMANDS: Readonly<Record<string, Command>> = {
  'new-secret': newSecret,
  migrate: migrateDatabase,
  secrets,
  'create-admin': createAdmin,
  why,
  import: importUsers,
  init,
  generate,
  audit,
};

process.exitCode = await main(process.argv.slice(2));

async function main([name, ...args]: string[]): Promise<number> {
  const command = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    const isHelp = name === undefined || name === '--help' || name === 'help';
    console.log(isHelp ? overview() : `authtuna: there is no command ${name}\n\n${overview()}`);
    return isHelp ? 0 : 2;
  }
  if (args.includes('--help')) {
    console.log(`${command.summary}\n\n  ${command.usage}`);
    return 0;
  }
  try {
    return await command.run(args);
  } catch (error) {
    if (isUsageError(error)) {
      console.error(`authtuna ${name}: ${error.message}\n\n  ${command.usage}`);
      return 2;
    }
    if (!(error instanceof AuthTunaError)) throw error;
    console.error(`authtuna ${name}: ${error.message}`);
    for (const { field, message } of error.details.errors ?? []) console.error(`  ${field}: ${message}`);
    if (error.cause instanceof Error) console.error(`  because: ${error.cause.message}`);
    return 1;
  }
}

function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return [
    'npx authtuna <command>',
    '',
    ...lines,
    '',
    'Settings come from AUTHTUNA_* variables: AUTHTUNA_BASE_URL, AUTHTUNA_SECRETS, AUTHTUNA_DATABASE_URL, …',
  ].join('\n');
}

function isUsageError(error: unknown): error is Error {
  return error instanceof Error && String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS');
}
