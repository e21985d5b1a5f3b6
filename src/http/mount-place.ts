import type { RequestHandler } from 'express';
import type { Config } from '../config/config.js';
import type { Mounts } from './mounts.js';

/**
 * Says once in the log that a router is mounted elsewhere than its links, forms and mails lead, and which setting of `paths` tells them.
 *
 * @param path where the router is expected, as browsers see it
 */
export function noticeMisplaced(
  { paths, mountPaths, logger }: Pick<Config, 'paths' | 'mountPaths' | 'logger'>,
  { misplaced }: Mounts,
  path: string,
): RequestHandler {
  const [setting, expected] = Object.entries(mountPaths).find(([name]) =>
    `${path}/`.startsWith(`${paths[name as keyof typeof mountPaths]}/`),
  ) ?? ['', ''];
  const rest = path.slice((paths[setting as keyof typeof mountPaths] ?? '').length);
  const inApp = expected + rest;
  return (req, _res, next) => {
    const found = req.baseUrl;
    // A proxy may strip the prefix of baseUrl or leave it. Express takes paths in capitals, too.
    const isRight = [path, inApp].some((place) => place.toLowerCase() === found.toLowerCase());
    if (!isRight && setting !== '' && !misplaced.has(setting)) {
      misplaced.add(setting);
      const instead = found.endsWith(rest) ? found.slice(0, found.length - rest.length) : found;
      logger.warn(
        `A router is mounted at ${found === '' ? '/' : found}, but its links, forms and mails lead to ${path}. ${
          instead === '' ? `Mount it at ${inApp}` : `Tell createAuthTuna: paths: { ${setting}: '${instead}' }`
        }.`,
      );
    }
    next();
  };
}
