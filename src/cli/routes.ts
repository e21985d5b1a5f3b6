import { parseArgs } from 'node:util';
import type { MountedRoute } from '../http/mounts.js';
import { type Command, JSON_OPTION } from './command.js';
import { withInstance } from './instance.js';

export const routes: Command = {
  usage: 'npx authtuna routes --app ./app.js [--openapi] [--json]',
  async run(args) {
    const { values } = parseArgs({
      args,
      options: { ...JSON_OPTION, app: { type: 'string' }, openapi: { type: 'boolean' } },
    });
    if (values.app === undefined) {
      console.error(`authtuna routes: say which module mounts the routers\n\n  ${routes.usage}`);
      return 2;
    }
    return withInstance(values.app, async (authTuna) => {
      const mounted = authTuna.routes();
      if (mounted.length === 0) {
        console.error(
          'No router is mounted in this module. Name the module that calls app.use(authTuna.router()).',
        );
        return 1;
      }
      if (values.openapi === true) console.log(JSON.stringify(authTuna.openapi(), null, 2));
      else if (values.json === true) console.log(JSON.stringify(mounted));
      else for (const route of mounted) console.log(lineOf(route));
      return 0;
    });
  },
};

function lineOf({ method, path, summary, guard }: MountedRoute): string {
  return `${method.padEnd(6)} ${path.padEnd(48)} ${callers(guard).padEnd(24)} ${summary}`;
}

/** Who may call a route, in a word or two. */
function callers(guard: MountedRoute['guard']): string {
  if (guard === null) return 'everybody';
  if (guard.permission !== undefined) return [guard.permission].flat().join(', ');
  return guard.optional === true ? 'everybody' : 'users';
}
