/** Where a Redis is, as `redisUrl` says it. */
export type RedisPlace =
  /** One server, by its URL. */
  | { kind: 'server'; url: string }
  /** Some nodes of a Redis Cluster, which name the others. */
  | { kind: 'cluster'; nodes: readonly RedisNode[]; access: RedisAccess }
  /** Sentinels, which know the master of that name. */
  | {
      kind: 'sentinel';
      nodes: readonly RedisNode[];
      master: string;
      access: RedisAccess;
      sentinelAccess: RedisAccess;
    };

export interface RedisNode {
  host: string;
  port: number;
}

/** What a connection to a node needs beside its address. */
export interface RedisAccess {
  isEncrypted: boolean;
  username?: string;
  password?: string;
}

const SEVERAL =
  /^(?<scheme>rediss?)\+(?<kind>cluster|sentinel):\/\/(?:(?<user>[^@/?#]*)@)?(?<hosts>[^@/?#]+)(?<path>\/[^?#]*)?(?:\?(?<query>[^#]*))?$/;

/** What `redisUrl` must be, for a message. */
export const REDIS_URL_RULE =
  'must be redis:// or rediss:// for one server, redis+cluster://host:6379,host:6379 for a cluster, or redis+sentinel://host:26379,host:26379/name where sentinels know the master of that name';

/** Reads `redisUrl`; null for one that cannot be read. */
export function parseRedisUrl(url: string): RedisPlace | null {
  if (/^rediss?:\/\//.test(url)) return URL.canParse(url) ? { kind: 'server', url } : null;
  const { scheme, kind, user = '', hosts = '', path = '', query = '' } = SEVERAL.exec(url)?.groups ?? {};
  const nodes = hosts.split(',').map((host) => nodeOf(host, kind === 'cluster' ? 6379 : 26_379));
  const isEncrypted = scheme === 'rediss';
  const [username = '', ...password] = user.split(':');
  const access = accessOf(isEncrypted, decoded(username), decoded(password.join(':')));
  const parameters = new URLSearchParams(query);
  const ours = kind === 'sentinel' ? ['sentinel_username', 'sentinel_password'] : [];
  const isKnown = [...parameters.keys()].every((name) => ours.includes(name));
  if (access === null || !isKnown || !nodes.every((node) => node !== null)) return null;
  const name = decoded(path.slice(1));
  if (kind === 'cluster') return name === '' ? { kind, nodes, access } : null;
  const [sentinelUser, sentinelPassword] = ours.map((parameter) => parameters.get(parameter) ?? '');
  const sentinelAccess = accessOf(isEncrypted, sentinelUser ?? null, sentinelPassword ?? null);
  if (kind !== 'sentinel' || !name || name.includes('/') || sentinelAccess === null) return null;
  return { kind, nodes, master: name, access, sentinelAccess };
}

function nodeOf(host: string, defaultPort: number): RedisNode | null {
  if (!URL.canParse(`redis://${host}`)) return null;
  const { hostname, port, pathname } = new URL(`redis://${host}`);
  if (hostname === '' || pathname !== '') return null;
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || defaultPort) };
}

function accessOf(
  isEncrypted: boolean,
  username: string | null,
  password: string | null,
): RedisAccess | null {
  if (username === null || password === null) return null;
  return {
    isEncrypted,
    ...(username !== '' && { username }),
    ...(password !== '' && { password }),
  };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
