#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { AuthTunaError } from '../errors.js';
import type { Command } from './command.js';

/** Each command with what `--help` says of it. Its module is loaded when it runs: loading all takes longer than the list. */
const COMMANDS: Readonly<Record<string, { summary: string; load(): Promise<Command> }>> = {
  'new-secret': {
    summary: 'Print a secret of 256 random bits.',
    load: async () => (await import('./new-secret.js')).newSecret,
  },
  migrate: {
    summary: 'Bring the database to the models of this version.',
    load: async () => (await import('./migrate.js')).migrateDatabase,
  },
  secrets: {
    summary: 'Seal again with the newest secret what older ones sealed, and count what still needs them.',
    load: async () => (await import('./secrets.js')).secrets,
  },
  'create-admin': {
    summary: 'Make a superadmin: a new user, or one that exists.',
    load: async () => (await import('./create-admin.js')).createAdmin,
  },
  users: {
    summary: 'List users, newest first, or show one with their roles.',
    load: async () => (await import('./users.js')).users,
  },
  roles: {
    summary: 'List roles with their permissions, and give them to a user or take them away.',
    load: async () => (await import('./roles.js')).roles,
  },
  why: {
    summary: 'Explain a decision: who may do what where, and through which role.',
    load: async () => (await import('./why.js')).why,
  },
  permissions: {
    summary: 'Compare stored roles and permissions with their declaration, and bring the roles to it.',
    load: async () => (await import('./permissions.js')).permissions,
  },
  doctor: {
    summary: 'Look whether settings, database, other instances, jobs and mail are in order.',
    load: async () => (await import('./doctor.js')).doctor,
  },
  routes: {
    summary: 'List the routes that your app mounts, or describe them as OpenAPI.',
    load: async () => (await import('./routes.js')).routes,
  },
  import: {
    summary: 'Bring users and their password hashes from another system.',
    load: async () => (await import('./import/import.js')).importUsers,
  },
  init: {
    summary: "Add AuthTuna's models to your own Prisma schema.",
    load: async () => (await import('./init.js')).init,
  },
  generate: {
    summary: 'Tell whether your Prisma schema has all that this version needs.',
    load: async () => (await import('./generate.js')).generate,
  },
  audit: {
    summary: 'Check that the audit log was not changed, or write it to standard output.',
    load: async () => (await import('./audit.js')).audit,
  },
};

process.exitCode = await main(process.argv.slice(2));

async function main([name, ...args]: string[]): Promise<number> {
  const entry = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry === undefined) {
    const isHelp = name === undefined || name === '--help' || name === 'help';
    console.log(isHelp ? overview() : `authtuna: there is no command ${name}\n\n${overview()}`);
    return isHelp ? 0 : 2;
  }
  if (existsSync('.env')) process.loadEnvFile(); // what is set already stays
  const command = await entry.load();
  if (args.includes('--help')) {
    console.log(`${entry.summary}\n\n  ${command.usage}`);
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
    'Settings come from AUTHTUNA_* variables (AUTHTUNA_BASE_URL, AUTHTUNA_SECRETS, AUTHTUNA_DATABASE_URL, …), also in .env,',
    'or from the module of your app that exports its AuthTuna: --app ./auth.js',
  ].join('\n');
}

function isUsageError(error: unknown): error is Error {
  return error instanceof Error && String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS');
}
