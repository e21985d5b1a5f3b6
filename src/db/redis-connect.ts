import { createRequire } from 'node:module';
import { misconfigured } from '../errors.js';
import {
  parseRedisUrl,
  REDIS_URL_RULE,
  type RedisAccess,
  type RedisNode,
  type RedisPlace,
} from './redis-place.js';

/** @internal An optional peer must not be in the types that every host compiles. */
type RedisPackage = typeof import('redis');
/** @internal */
export type RedisClient = Awaited<ReturnType<typeof connected>>;

const CONNECT_MS = 2000;
const MAX_PAUSE_MS = 5000;

/**
 * @internal The optional peer `redis`.
 *
 * @throws AuthTunaError `misconfigured` when it is not installed
 */
export function loadRedis(): RedisPackage {
  try {
    // Required rather than imported, because it may be missing and creating an AuthTuna is synchronous.
    return createRequire(import.meta.url)('redis') as RedisPackage;
  } catch (cause) {
    throw misconfigured('redisUrl needs the Redis client: npm install redis', cause);
  }
}

/** @throws AuthTunaError `misconfigured` for a `redisUrl` that cannot be read */
export function placeOf(redisUrl: string): RedisPlace {
  const place = parseRedisUrl(redisUrl);
  if (place === null) throw misconfigured(`redisUrl ${REDIS_URL_RULE}`);
  return place;
}

/**
 * @internal A connection to the server, to the master that the sentinels name, or to the first node of a cluster that answers. It does not
 * come back by itself when it is lost: the next one may have to lead to another server.
 *
 * @param onLost told of its end and its errors, from the first moment
 * @throws when there is none within about two seconds
 */
export async function connectRedis(
  place: RedisPlace,
  onLost: (error?: unknown) => void,
): Promise<RedisClient> {
  if (place.kind === 'server') return connected({ url: place.url }, CONNECT_MS, onLost);
  const limitMs = CONNECT_MS / place.nodes.length;
  if (place.kind === 'cluster')
    return firstOf(place.nodes, (node) => connected(optionsOf(node, place.access), limitMs, onLost));
  return firstOf(place.nodes, async (sentinel) => {
    const node = await masterKnownTo(sentinel, place, limitMs);
    const master = await connected(optionsOf(node, place.access), limitMs, onLost);
    // A sentinel that was cut off names the old one. A user without the right to ask for the role believes the sentinel.
    const [role] = (await master.sendCommand(['ROLE']).catch(() => ['master'])) as unknown[];
    if (role === 'master') return master;
    master.destroy();
    throw new Error(`${node.host}:${node.port} is no master`);
  });
}

/** @internal A client of a whole cluster, which follows the slots when they move. It must be connected, and ends by `destroy`. */
export function clusterClient({ nodes, access }: RedisPlace & { kind: 'cluster' }) {
  const { socket, ...rest } = optionsOf(undefined, access);
  return loadRedis().createCluster({
    rootNodes: nodes.map((node) => optionsOf(node, access)),
    defaults: {
      ...rest,
      disableOfflineQueue: true,
      socket: {
        ...socket,
        connectTimeout: CONNECT_MS,
        reconnectStrategy: (retries) => Math.min(50 * 2 ** Math.min(retries, 10), MAX_PAUSE_MS),
      },
    },
    minimizeConnections: true, // a node that is down while the app starts must not keep it from the others
    topologyRefreshOnReconnectionAttemptStrategy: 1000,
  });
}

async function connected(
  options: { url: string } | ReturnType<typeof optionsOf>,
  limitMs: number,
  onLost: (error?: unknown) => void,
) {
  const client = loadRedis().createClient({
    ...options,
    disableOfflineQueue: true, // what cannot be sent now is stale later
    socket: {
      ...('socket' in options && options.socket),
      connectTimeout: limitMs,
      reconnectStrategy: false,
    },
  });
  client.on('error', onLost).on('end', () => onLost());
  try {
    await client.connect();
    return client;
  } catch (error) {
    if (client.isOpen) client.destroy();
    throw error;
  }
}

async function masterKnownTo(
  sentinel: RedisNode,
  { master, sentinelAccess }: RedisPlace & { kind: 'sentinel' },
  limitMs: number,
): Promise<RedisNode> {
  const client = await connected(optionsOf(sentinel, sentinelAccess), limitMs, () => {});
  try {
    const answer = await client.sendCommand(['SENTINEL', 'get-master-addr-by-name', master]);
    if (!Array.isArray(answer)) throw new Error(`the sentinels know no master of the name ${master}`);
    const [host, port] = answer.map(String);
    return { host: host ?? '', port: Number(port) };
  } finally {
    if (client.isOpen) client.destroy();
  }
}

function optionsOf(node: RedisNode | undefined, { isEncrypted, ...credentials }: RedisAccess) {
  return { ...credentials, socket: { ...node, ...(isEncrypted && { tls: true as const }) } };
}

/** What `attempt` gives for the first of the nodes for which it does not fail. @throws what it throws for the last */
async function firstOf<T>(nodes: readonly RedisNode[], attempt: (node: RedisNode) => Promise<T>): Promise<T> {
  let failure: unknown;
  for (const node of nodes) {
    try {
      return await attempt(node);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
