import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { FaultProxy } from './fault-proxy.js';

export interface ClusterOptions {
  databaseUrl: string;
  redisUrl?: string;
  /** One instance each, with a clock that is off by so many milliseconds. */
  clockOffsets: readonly number[];
}

export interface Answer {
  status: number;
  /** The code of a problem document. */
  code: string | null;
  body: { userId?: string | null };
  retryAfter: string | null;
  token: string | undefined;
}

interface Instance {
  process: ChildProcess;
  proxy: FaultProxy;
  offset: number;
}

interface Call {
  process: ChildProcess | undefined;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

const COOKIE = 'at_sess';
const BASE_URL = 'http://localhost:4000';
const SECRET = 'Qm7xT2vK9wZ4nB6rL1cF8hJ3pD5sG0yA';

/** Several processes of one app on one database, each behind a proxy that loses, delays and stalls. */
export class Cluster {
  readonly #options: ClusterOptions;
  readonly #instances: Instance[] = [];
  readonly #waiting = new Map<number, Call>();
  #calls = 0;
  #isClosing = false;
  /** Restarts after kills that are under way. */
  readonly #restarts = new Set<Promise<void>>();
  #failedStarts = 0;
  kills = 0;
  requests = 0;

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#instances.length;
  }

  async start(): Promise<void> {
    for (const offset of this.#options.clockOffsets) {
      const proxy = new FaultProxy(0);
      await proxy.start();
      const instance = { process: await this.#spawn(offset, proxy), proxy, offset };
      this.#watch(instance);
      this.#instances.push(instance);
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.settled();
    for (const { process, proxy } of this.#instances) {
      if (process.exitCode !== null || process.signalCode !== null) {
        await proxy.close();
        continue;
      }
      const closed = once(process, 'exit');
      const slow = setTimeout(() => process.kill('SIGKILL'), 8000);
      process.send({ id: 0, command: 'close' });
      await closed;
      clearTimeout(slow);
      await proxy.close();
    }
  }

  /** Waits until every killed instance runs again. */
  async settled(): Promise<void> {
    await Promise.all(this.#restarts);
  }

  async #spawn(offset: number, proxy: FaultProxy): Promise<ChildProcess> {
    const { databaseUrl, redisUrl } = this.#options;
    const settings = {
      baseUrl: BASE_URL,
      secret: SECRET,
      databaseUrl,
      redisUrl,
      clockOffsetMs: offset,
      mayBeKilled: true,
    };
    const child = fork(new URL('./server.js', import.meta.url), {
      env: { ...process.env, RACE_INSTANCE: JSON.stringify(settings), UV_THREADPOOL_SIZE: '2' },
      execArgv: [],
    });
    child.on('message', (message: { id?: number; port?: number; result?: unknown; error?: string }) => {
      if (message.port !== undefined) return void proxy.retarget(message.port);
      const call = this.#waiting.get(message.id ?? 0);
      this.#waiting.delete(message.id ?? 0);
      if (message.error === undefined) call?.resolve(message.result);
      else call?.reject(new Error(message.error));
    });
    child.once('exit', () => {
      for (const [id, call] of this.#waiting) {
        if (call.process !== child) continue;
        this.#waiting.delete(id);
        call.reject(new Error('the instance ended while it was asked'));
      }
    });
    const isReady = await Promise.race([
      once(child, 'message').then(() => true),
      once(child, 'exit').then(() => false),
    ]);
    if (isReady) return child;
    // What a supervisor does with a process that met a stalled database while it started.
    this.#failedStarts += 1;
    if (this.#failedStarts > 20) throw new Error('an instance did not start, twenty times');
    return this.#spawn(offset, proxy);
  }

  #watch(instance: Instance): void {
    instance.process.once('exit', () => {
      if (this.#isClosing) return;
      this.kills += 1;
      const restart = this.#spawn(instance.offset, instance.proxy).then((child) => {
        instance.process = child;
        this.#watch(instance);
      });
      this.#restarts.add(restart);
      restart.then(
        () => this.#restarts.delete(restart),
        () => {}, // it stays, and `settled` tells of it
      );
    });
  }

  call<T>(index: number, command: string, input: object = {}): Promise<T> {
    this.#calls += 1;
    const id = this.#calls;
    const process = this.#instances[index]?.process;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { process, resolve: resolve as (value: unknown) => void, reject });
      process?.send({ id, command, input }, (error) => error && reject(error));
    });
  }

  /** Moves every clock by the same time; what they differ by stays. */
  async advance(seconds: number): Promise<void> {
    await this.settled();
    for (const instance of this.#instances) instance.offset += seconds * 1000;
    await Promise.all(
      this.#instances.map((_, index) => this.call(index, 'advance', { milliseconds: seconds * 1000 })),
    );
  }

  release(): void {
    for (const { proxy } of this.#instances) proxy.release();
  }

  /** One request on a connection of its own; null when no answer came. */
  ask(
    index: number,
    token: string,
    options: { method?: string; path?: string; headers?: Record<string, string> } = {},
  ): Promise<Answer | null> {
    this.requests += 1;
    const { method = 'GET', path = '/me', headers = {} } = options;
    const instance = this.#instances[index % this.size];
    return new Promise((resolve) => {
      const outgoing = request({
        host: '127.0.0.1',
        port: instance?.proxy.port,
        method,
        path,
        agent: false,
        headers: { 'user-agent': 'Firefox/140.0', cookie: `${COOKIE}=${token}`, ...headers },
      });
      outgoing.once('error', () => resolve(null));
      outgoing.once('response', (incoming) => {
        let text = '';
        incoming.setEncoding('utf8');
        incoming.on('data', (chunk) => {
          text += chunk;
        });
        incoming.once('error', () => resolve(null));
        incoming.once('close', () => {
          if (!incoming.complete) return resolve(null);
          const body = text === '' ? {} : JSON.parse(text);
          const cookie = incoming.headers['set-cookie']?.find((value) => value.startsWith(`${COOKIE}=`));
          resolve({
            status: incoming.statusCode ?? 0,
            code: body.code ?? null,
            body,
            retryAfter: incoming.headers['retry-after'] ?? null,
            token: cookie?.slice(COOKIE.length + 1).split(';')[0],
          });
        });
      });
      outgoing.end();
    });
  }
}

/** A browser: one jar, whatever arrives last is in it; tabs are requests at the same time. */
export class Visitor {
  readonly #cluster: Cluster;
  readonly sessionId: string;
  token: string;
  /** Jars as they were, for what a crashed browser restores and what a thief has. */
  readonly history: string[] = [];

  constructor(cluster: Cluster, session: { sessionId: string; token: string }) {
    this.#cluster = cluster;
    this.sessionId = session.sessionId;
    this.token = session.token;
  }

  async ask(index: number, options: Parameters<Cluster['ask']>[2] = {}): Promise<Answer | null> {
    const answer = await this.#cluster.ask(index, this.token, options);
    if (answer?.token !== undefined && answer.token !== this.token) {
      this.history.push(this.token);
      this.token = answer.token;
    }
    return answer;
  }

  /**
   * What a person behind a decent client does: tries again when there was no answer or a 503, and once after `superseded`.
   *
   * @returns the last answer's status and code
   */
  async visit(
    index: number,
    options: Parameters<Cluster['ask']>[2] = {},
  ): Promise<{ status: number; code: string | null }> {
    let superseded = 0;
    for (let attempt = 0; attempt < 12; attempt += 1) {
      const answer = await this.ask(index + attempt, options);
      if (answer?.status === 401 && answer.code === 'superseded' && superseded === 0) {
        superseded += 1;
        continue;
      }
      if (answer !== null && answer.status !== 503) return answer;
      await this.#cluster.settled();
    }
    return { status: 0, code: 'no answer' };
  }
}
