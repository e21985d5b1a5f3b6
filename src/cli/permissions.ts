import { parseArgs } from 'node:util';
import type { Config } from '../config/config.js';
import { differences, syncRoles } from '../core/access/role-sync.js';
import { isPermissionName } from '../core/access/scope-name.js';
import { SHIPPED_PERMISSIONS } from '../core/access/shipped.js';
import type { Parts } from '../parts.js';
import { type Command, JSON_OPTION } from './command.js';
import { withInstance } from './instance.js';

/** What the database and the declarations in code say differently. */
interface Differences {
  /** Declared roles that are stored otherwise, with the fields: `level, permissions`. */
  roles: { role: string; fields: string }[];
  /** Stored permissions that no declaration names, such as one that was renamed in code. */
  undeclaredPermissions: string[];
}

export const permissions: Command = {
  usage: [
    'npx authtuna permissions diff --app ./auth.js [--json]',
    'npx authtuna permissions sync --app ./auth.js [--check] [--json]',
  ].join('\n  '),
  async run(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...JSON_OPTION, app: { type: 'string' }, check: { type: 'boolean' } },
    });
    const [task, ...more] = positionals;
    const isKnown = task === 'diff' || task === 'sync';
    if (!isKnown || more.length > 0 || values.app === undefined) {
      console.error(
        `authtuna permissions: say diff or sync, and which module declares the roles\n\n  ${permissions.usage}`,
      );
      return 2;
    }
    return withInstance(values.app, async (_authTuna, { core }) => {
      const isDry = task === 'diff' || values.check === true;
      if (!isDry) await syncRoles(core.roles, core.config.roles ?? {});
      const found = await differencesOf(core);
      console.log(values.json === true ? JSON.stringify(found) : sentences(found));
      const isDifferent = found.roles.length > 0 || found.undeclaredPermissions.length > 0;
      return isDry && isDifferent ? 1 : 0;
    });
  },
};

async function differencesOf({ config, roles, permissions: stored }: Parts['core']): Promise<Differences> {
  const declared = await Promise.all(
    Object.entries(config.roles ?? {}).map(async ([role, declaration]) => ({
      role,
      fields: differences(await roles.get(role), declaration),
    })),
  );
  const names = declaredPermissions(config);
  const undeclared: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await stored.list({ limit: 100, ...(cursor !== undefined && { cursor }) });
    undeclared.push(...page.items.map(({ name }) => name).filter((name) => !names.has(name)));
    cursor = page.nextCursor;
  }
  return { roles: declared.filter(({ fields }) => fields !== ''), undeclaredPermissions: undeclared };
}

function declaredPermissions({ permissions: declared, roles }: Config): ReadonlySet<string> {
  return new Set([
    ...Object.keys(SHIPPED_PERMISSIONS),
    ...Object.entries(declared ?? {}).flatMap(([resource, actions]) =>
      actions.map((action) => `${resource}:${action}`),
    ),
    ...Object.values(roles ?? {}).flatMap((role) => (role.permissions ?? []).filter(isPermissionName)),
  ]);
}

function sentences({ roles, undeclaredPermissions }: Differences): string {
  const lines = [
    ...roles.map(
      ({ role, fields }) => `The role ${role} is stored with other ${fields} than its declaration.`,
    ),
    ...undeclaredPermissions.map((name) => `The permission ${name} is stored, and no declaration names it.`),
  ];
  return lines.length === 0 ? 'Stored roles and permissions are as declared.' : lines.join('\n');
}
