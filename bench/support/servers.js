import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { nodeOn, SERVER_CORE } from './cores.js';
import { Jar, Request } from './load.js';

const START_SECONDS = 1800; // making fifty thousand sessions takes a while

/**
 * Starts servers/<name>.js in a process of its own, on `cores` (the server's own by default).
 *
 * @returns its port, the `requests` it offers by subject (`me`, `guarded`, `login`), `ask('cpu' | 'memory')` and `stop()`
 */
export async function startServer(
  databases,
  name,
  { database, databaseUrl, cores = SERVER_CORE, ...settings } = {},
) {
  const url = databaseUrl ?? (database && (await databases.create(database)));
  const [command, ...args] = nodeOn(
    cores,
    '--expose-gc',
    fileURLToPath(new URL('serve.js', import.meta.url)),
    name,
    JSON.stringify({ ...settings, databaseUrl: url }),
  );
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, NODE_ENV: 'production' },
  });
  let complaints = '';
  child.stderr.on('data', (chunk) => {
    complaints = (complaints + chunk).slice(-4000);
  });

  const answer = () =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => settle(reject, new Error(`${name} did not answer`)),
        START_SECONDS * 1000,
      );
      const onMessage = (message) => settle(resolve, message);
      const onExit = () => settle(reject, new Error(`${name} ended: ${complaints}`));
      function settle(how, value) {
        clearTimeout(timer);
        child.off('message', onMessage).off('exit', onExit);
        how(value);
      }
      child.on('message', onMessage).on('exit', onExit);
    });
  const stop = async () => {
    if (child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill();
    await ended;
  };

  try {
    const { port, requests } = await answer();
    return {
      port,
      databaseUrl: url,
      requests: withJars(requests, `127.0.0.1:${port}`),
      ask(question) {
        const answered = answer();
        child.send(question);
        return answered;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Requests that begin with the same cookies come from the same browser, so that a cookie that is replaced is replaced for all of them. */
function withJars(requests, host) {
  const jars = new Map();
  const jarOf = ({ cookie, forgets }) => {
    if (cookie === undefined) return new Jar('', forgets);
    if (!jars.has(cookie)) jars.set(cookie, new Jar(cookie));
    return jars.get(cookie);
  };
  return Object.fromEntries(
    Object.entries(requests).map(([subject, list]) => [
      subject,
      list.map((each) => new Request({ host, ...each, jar: jarOf(each) })),
    ]),
  );
}
