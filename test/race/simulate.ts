import { parseArgs } from 'node:util';
import { SYSTEM } from '../../src/actor.js';
import { type Config, parseConfig } from '../../src/config/config.js';
import type { Access } from '../../src/core/access/access.js';
import { RoleStore } from '../../src/core/access/role-store.js';
import { TeamHoldings } from '../../src/core/access/team-holdings.js';
import { AuditManager } from '../../src/core/changes/audit.js';
import { Ledger } from '../../src/core/changes/ledger.js';
import { createRuntime } from '../../src/core/runtime.js';
import { RefreshTokens } from '../../src/core/sessions/refresh-token.js';
import { SessionTokens } from '../../src/core/sessions/session-token.js';
import { SessionManager } from '../../src/core/sessions/sessions.js';
import { SessionVerifier } from '../../src/core/sessions/verifier.js';
import { MemoryDb } from './memory-db.js';
import { OtherProtocol } from './other-protocols.js';
import { seeded } from './seeded.js';
import { Timeline } from './timeline.js';

// A discrete-event simulation of browsers and thieves against the real SessionVerifier, at its public seam: `remembered` and `verify`, called
// as the session middleware calls them. Only the database (memory-db.ts) and time are stand-ins: a day of eight hours takes a moment.

const HOUR = 3_600_000;
const DAY_MS = 8 * HOUR;
const BATCH = 100; // sessions that run beside each other
const USER_AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

interface Variant {
  name: string;
  /** Of the sessions asked for. */
  share: number;
  instances?: number;
  session?: Partial<Config['session']>;
  /** Multiplies the rates of stalls, losses and crashes. */
  faults?: number;
  stalls?: boolean;
  /** A browser that crashes once an hour and comes back with a jar up to 30 s old. */
  restoresJar?: boolean;
  /** Every request comes from another network, as behind some relays. */
  isRelayed?: boolean;
  /** Instead of the protocol of this library. */
  protocol?: 'single use' | 'last writer wins';
  /** Whether no honest session may be lost; where it is false, some must be, or the simulation sees nothing. */
  isSafe: boolean;
}

const VARIANTS: readonly Variant[] = [
  { name: 'this protocol, 4 instances', share: 0.5, isSafe: true },
  { name: 'fault rates x5', share: 0.2, faults: 5, isSafe: true },
  { name: '16 instances', share: 0.2, instances: 16, isSafe: true },
  { name: 'another network at every request', share: 0.1, isRelayed: true, isSafe: true },
  { name: 'V = 0 (no cache)', share: 0.1, session: { recheckSeconds: 0 }, isSafe: true },
  { name: 'S = 0 (no forgiveness)', share: 0.05, session: { rotationForgiveSeconds: 0 }, isSafe: false },
  {
    name: 'R = 60, S = 45, G = 10 with the same stalls',
    share: 0.05,
    session: { rotateSeconds: 60, rotationForgiveSeconds: 45, rotationGraceSeconds: 10 },
    isSafe: false,
  },
  {
    name: 'R = 60, S = 45, G = 10 without stalls',
    share: 0.05,
    session: { rotateSeconds: 60, rotationForgiveSeconds: 45, rotationGraceSeconds: 10 },
    stalls: false,
    isSafe: true,
  },
  { name: 'browser crash every hour, jar up to 30 s old', share: 0.05, restoresJar: true, isSafe: false },
  { name: 'strict single use', share: 0.05, protocol: 'single use', isSafe: false },
  { name: 'random successor, last writer wins', share: 0.05, protocol: 'last writer wins', isSafe: false },
];

const OWNER_IP = '192.0.2.1';
const OTHER_IP = '198.51.100.9';
const R_SECONDS = 300;

interface Thief {
  name: string;
  everySeconds: number;
  /** Milliseconds after the theft. */
  startsAfter?: number;
  /** Keeps the old cookie until its successor was acknowledged by the owner. */
  isAdaptive?: boolean;
  /** Rests for R after each acknowledgement, when no rotation can be due. */
  rests?: boolean;
  /** Default: the owner's. */
  ip?: string;
  /** The owner asks once in so many seconds, to the second, instead of opening pages. */
  ownerPollsSeconds?: number;
  /** Says what nothing finds. */
  isHidden?: boolean;
}

const THIEVES: readonly Thief[] = [
  { name: 'uses the copy every 5 s, stores new cookies', everySeconds: 5 },
  { name: 'every 60 s', everySeconds: 60 },
  { name: 'every 600 s', everySeconds: 600 },
  { name: 'first use an hour later', everySeconds: 60, startsAfter: HOUR },
  {
    name: 'adaptive: keeps the old cookie until the new one is acknowledged',
    everySeconds: 60,
    isAdaptive: true,
  },
  {
    name: 'first at every rotation, in another network',
    everySeconds: 5,
    isAdaptive: true,
    rests: true,
    ip: OTHER_IP,
  },
  {
    name: 'first at every rotation, owner polls every 30 s',
    everySeconds: 5,
    isAdaptive: true,
    rests: true,
    ip: OTHER_IP,
    ownerPollsSeconds: 30,
  },
  {
    name: 'two jars that poll every 30 s sharp, in two networks',
    everySeconds: 30,
    ip: OTHER_IP,
    ownerPollsSeconds: 30,
  },
  {
    name: 'two jars that poll every 30 s sharp, in one network',
    everySeconds: 30,
    ownerPollsSeconds: 30,
    isHidden: true,
  },
];

/** Instances, their database and the network between them and the browsers. */
class World {
  readonly timeline = new Timeline();
  readonly db: MemoryDb;
  readonly random: ReturnType<typeof seeded>;
  readonly #variant: Omit<Variant, 'name' | 'share' | 'isSafe'>;
  readonly #start = Date.UTC(2030, 0, 1);
  readonly #instances: {
    verifier: SessionVerifier;
    config: Config;
    now: () => number;
    forget: () => void;
  }[] = [];
  readonly #sessions: SessionManager;
  readonly #other: OtherProtocol | null;
  requests = 0;
  stepUps = 0;

  constructor(seed: number, variant: Omit<Variant, 'name' | 'share' | 'isSafe'>) {
    this.#variant = variant;
    this.random = seeded(seed);
    this.#other =
      variant.protocol === undefined ? null : new OtherProtocol(variant.protocol, this.timeline, this.random);
    this.db = new MemoryDb(
      this.timeline,
      () => 1 + this.random.next() * 4 + (this.random.below(500) === 0 ? 800 : 0),
    );
    for (let i = 0; i < (variant.instances ?? 4); i += 1)
      this.#instances.push(this.#boot((this.random.next() - 0.5) * 4000));
    const { runtime, ledger, tokens, audit } = this.#parts(0);
    const verifier = new SessionVerifier(
      runtime,
      tokens,
      ledger,
      audit,
      new RoleStore(runtime),
      new TeamHoldings(runtime),
    );
    this.#sessions = new SessionManager({
      ...runtime,
      ledger,
      sessionTokens: tokens,
      refreshTokens: new RefreshTokens(runtime.keys),
      access: null as unknown as Access,
      verifier,
    });
  }

  #parts(skew: number) {
    const now = () => this.#start + this.timeline.now + skew;
    const silent = { debug() {}, info() {}, warn() {}, error() {} };
    const parsed = parseConfig({
      baseUrl: 'http://localhost:3000',
      secrets: ['Wd5tK8nQ2xV7mB4rJ9cL1hF6pS3gZ0yA'],
      clock: { now: () => new Date(now()) },
      random: { bytes: (size) => Buffer.from(Array.from({ length: size }, () => this.random.below(256))) },
      logger: silent,
    });
    // Variants outside the bounds that start-up enforces are there to show why it does.
    const config = { ...parsed, session: { ...parsed.session, ...this.#variant.session } } as Config;
    const runtime = createRuntime(config, this.db.asDb());
    const audit = new AuditManager(runtime);
    const ledger = new Ledger(runtime, audit);
    const tokens = new SessionTokens(runtime.keys, config.origin);
    return { now, config, runtime, audit, ledger, tokens };
  }

  #boot(skew: number) {
    const { now, config, runtime, audit, ledger, tokens } = this.#parts(skew);
    return {
      now,
      config,
      verifier: new SessionVerifier(
        runtime,
        tokens,
        ledger,
        audit,
        new RoleStore(runtime),
        new TeamHoldings(runtime),
      ),
      forget: () => runtime.invalidation.receive(['all']),
    };
  }

  signIn(id: string): { sessionId: string; token: string } {
    if (this.#other !== null) return { sessionId: id, token: this.#other.begin(id) };
    const user = {
      id,
      email: `${id}@example.com`,
      username: null,
      sessionEpoch: 0,
      suspendedAt: null,
      suspendedUntil: null,
      deletedAt: null,
    };
    this.db.users.set(id, user);
    const actor = { ...SYSTEM, userAgent: USER_AGENT };
    const { write, result } = this.#sessions.prepare(user, { amr: ['pwd'], assuranceLevel: 1 }, actor, {
      rememberMe: true,
    });
    this.db.sessions.set(result.session.id, { ...created(write) });
    return { sessionId: result.session.id, token: result.token };
  }

  /** Whether a step-up was asked of the session. */
  isLocked(sessionId: string): boolean {
    return this.db.sessions.get(sessionId)?.lockedAt != null;
  }

  /** The owner steps up; without a new cookie, which is enough for who is asked how often. */
  stepUp(sessionId: string): void {
    this.stepUps += 1;
    Object.assign(this.db.sessions.get(sessionId) ?? {}, {
      lockedAt: null,
      contests: null,
      contestedAt: null,
    });
  }

  /** One request with this cookie; null when no answer came. */
  async request(token: string, from = OWNER_IP): Promise<{ code: string; renewed: string | null } | null> {
    const { random, timeline } = this;
    this.requests += 1;
    const faults = this.#variant.faults ?? 1;
    const isStalled = this.#variant.stalls !== false && random.next() < 0.01 * faults;
    const isLost = random.next() < 0.02 * faults;
    const crashes = random.next() < 0.002 * faults;
    await timeline.sleep(isStalled ? 20_000 + random.next() * 80_000 : 5 + random.next() * 100);
    const index = random.below(this.#instances.length);
    const instance = this.#instances[index]!;
    const { verifier, config } = instance;
    const isUnsafe = random.below(20) === 0;
    const remembered =
      isUnsafe || this.#other !== null ? undefined : verifier.remembered(token, USER_AGENT, instance.now());
    let answer = { code: 'ok', renewed: null as string | null };
    const decidedAt = timeline.now;
    if (this.#other !== null) answer = await this.#other.verify(token);
    else if (remembered === undefined) {
      const facts = {
        ip: this.#variant.isRelayed === true ? `10.${random.below(200)}.${random.below(200)}.1` : from,
        userAgent: USER_AGENT,
        region: async () => null,
        mayRotate: random.below(3) > 0,
      };
      try {
        const verdict = await verifier.verify(token, facts, { latest: isUnsafe });
        answer =
          verdict.status === 'verified'
            ? { code: 'ok', renewed: verdict.renewedToken }
            : { code: verdict.code, renewed: null };
      } catch {
        answer = { code: 'unavailable', renewed: null };
      }
    }
    if (crashes) {
      instance.forget(); // a process that starts again remembers nothing
      return null;
    }
    await timeline.sleep(5 + random.next() * (random.below(200) === 0 ? 60_000 : 300)); // the handler
    if (timeline.now - decidedAt > config.session.rotationGraceSeconds * 1000) answer.renewed = null; // as http/cookies.ts does
    if (isLost) return null;
    await timeline.sleep(5 + random.next() * 100);
    return answer;
  }
}

/** The row in a write that has not been sent: what `prepare` hands to `create`. */
function created(write: unknown): Record<string, unknown> {
  return (write as { data: Record<string, unknown> }).data;
}

class Browser {
  readonly sessionId: string;
  token: string;
  /** Jars with the time they were replaced. */
  readonly #past: { token: string; until: number }[] = [];
  readonly #world: World;
  isLost = false;
  stepsUp = true;

  constructor(world: World, session: { sessionId: string; token: string }) {
    this.#world = world;
    this.sessionId = session.sessionId;
    this.token = session.token;
  }

  async load(): Promise<void> {
    const answer = await this.#world.request(this.token);
    if (answer === null) return;
    if (answer.code === 'superseded') {
      await this.#world.timeline.sleep(250);
      const again = await this.#world.request(this.token);
      if (again !== null) this.#take(again);
      return;
    }
    this.#take(answer);
  }

  #take({ code, renewed }: { code: string; renewed: string | null }): void {
    if (renewed !== null && renewed !== this.token) {
      this.#past.push({ token: this.token, until: this.#world.timeline.now });
      this.token = renewed;
    }
    if (code === 'session_revoked' || code === 'unauthenticated') this.isLost = true;
    if (code === 'recent_login_required' && this.stepsUp && this.#world.isLocked(this.sessionId))
      this.#world.stepUp(this.sessionId);
  }

  /** The jar as it was written to the disk up to so long ago. */
  restoreJar(age: number): void {
    const then = this.#world.timeline.now - age;
    this.token = this.#past.find(({ until }) => until > then)?.token ?? this.token;
  }

  /** One request in so many milliseconds, to the second. */
  async poll(everyMs: number, endsAt: number): Promise<void> {
    const { timeline } = this.#world;
    while (timeline.now < endsAt && !this.isLost) {
      await timeline.sleep(everyMs);
      void this.load();
    }
  }

  async day(thinkMs: number, options: { endsAt: number; restoresJar?: boolean }): Promise<void> {
    const { timeline, random } = this.#world;
    // Not all at once: sessions that began together rotate together.
    let crashAt = options.restoresJar === true ? random.next() * HOUR : Number.POSITIVE_INFINITY;
    while (timeline.now < options.endsAt && !this.isLost) {
      await timeline.sleep(-Math.log(1 - random.next()) * thinkMs);
      if (timeline.now >= crashAt) {
        this.restoreJar(random.next() * 30_000);
        crashAt += HOUR;
      }
      // A page, and what it asks for; the next page does not wait for stragglers.
      const burst = 3 + random.below(10);
      const first = this.load();
      for (let i = 1; i < burst; i += 1) void this.load();
      await Promise.race([first, timeline.sleep(2000)]);
    }
  }
}

async function honest(variant: Variant, sessions: number, seed: number, thinkMs: number) {
  let lost = 0;
  let requests = 0;
  let reads = 0;
  let writes = 0;
  let suspicious = 0;
  let stepUps = 0;
  for (let done = 0; done < sessions; done += BATCH) {
    const world = new World(seed * 1_000_003 + done, variant);
    const browsers: Browser[] = [];
    for (let i = 0; i < Math.min(BATCH, sessions - done); i += 1) {
      const browser = new Browser(world, world.signIn(`u${i}`));
      browsers.push(browser);
      void browser.day(thinkMs, { endsAt: DAY_MS, restoresJar: variant.restoresJar === true });
    }
    await world.timeline.run();
    const breached = new Set(world.db.breaches);
    lost += browsers.filter((browser) => browser.isLost || breached.has(browser.sessionId)).length;
    requests += world.requests;
    reads += world.db.reads;
    writes += world.db.writes;
    suspicious += world.db.suspicious;
    stepUps += world.stepUps;
  }
  return { lost, sessions, requests, reads, writes, suspicious, stepUps };
}

/** Seconds until each copy was caught; infinite for one that never was. */
async function thefts(thief: Thief, runs: number, seed: number, thinkMs: number): Promise<number[]> {
  const world = new World(seed, {});
  const { timeline } = world;
  const caughtAt: number[] = [];
  for (let i = 0; i < runs; i += 1) {
    const victim = new Browser(world, world.signIn(`v${i}`));
    const endsAt = 4 * HOUR;
    victim.stepsUp = false; // what follows an honest step-up is not a copy's any more
    if (thief.ownerPollsSeconds === undefined) void victim.day(thinkMs, { endsAt });
    else void victim.poll(thief.ownerPollsSeconds * 1000, endsAt);
    void (async () => {
      await timeline.sleep(1000 + world.random.next() * 600_000);
      const stolenAt = timeline.now;
      const loot = { token: victim.token, next: null as string | null };
      await timeline.sleep(thief.startsAfter ?? world.random.next() * thief.everySeconds * 1000);
      const isCaught = () => world.db.breaches.includes(victim.sessionId) || world.isLocked(victim.sessionId);
      while (timeline.now < endsAt && !isCaught()) {
        const answer = await world.request(loot.token, thief.ip);
        if (answer?.renewed != null && thief.isAdaptive !== true) loot.token = answer.renewed;
        else if (answer?.renewed != null) loot.next = answer.renewed;
        else if (answer !== null && loot.next !== null) {
          loot.token = loot.next; // no successor any more: somebody has used it
          loot.next = null;
          if (thief.rests === true) await timeline.sleep(R_SECONDS * 1000);
        }
        await timeline.sleep(thief.everySeconds * 1000);
      }
      const from = thief.startsAfter === undefined ? stolenAt : stolenAt + thief.startsAfter;
      caughtAt.push(isCaught() ? (timeline.now - from) / 1000 : Number.POSITIVE_INFINITY);
    })();
  }
  await timeline.run();
  return caughtAt.sort((a, b) => a - b);
}

/** @returns the exit code */
export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string', default: '1' },
      sessions: { type: 'string', default: '2000' },
      /** Mean seconds between two pages. */
      think: { type: 'string', default: '180' },
      thefts: { type: 'string', default: '100' },
      /** Only variants whose name contains this. */
      only: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(
      `simulate [--seed 1] [--sessions 2000] [--think 180] [--thefts 100] [--only <part of a name>]\n\n${VARIANTS.map(({ name, share }) => `${share}  ${name}`).join('\n')}`,
    );
    return 0;
  }
  const seed = Number(values.seed);
  const sessions = Number(values.sessions);
  const thinkMs = Number(values.think) * 1000;
  console.log(`seed ${seed}, sessions of 8 h, pages of 3 to 12 requests every ${values.think} s on average`);
  console.log(
    '1 % of requests stalled 20-100 s, 2 % of answers lost, 0.2 % crashes after commit, clocks off by up to 2 s\n',
  );
  console.log(
    '| variant | honest sessions lost | step-ups asked | DB reads per request | DB writes per request | requests |',
  );
  console.log('|---|---|---|---|---|---|');
  let safe = 0;
  let lost = 0;
  const blind: string[] = [];
  for (const variant of VARIANTS.filter(({ name }) => name.includes(values.only))) {
    const result = await honest(variant, Math.max(1, Math.round(sessions * variant.share)), seed, thinkMs);
    const { requests, reads, writes } = result;
    const note = result.suspicious === 0 ? '' : ` (${result.suspicious} taken for forged)`;
    console.log(
      `| ${variant.name} | ${result.lost} / ${result.sessions}${note} | ${result.stepUps} | ${(reads / requests).toFixed(3)} | ${(writes / requests).toFixed(4)} | ${requests} |`,
    );
    if (variant.isSafe) {
      safe += result.sessions;
      lost += result.lost + result.suspicious;
    } else if (result.lost === 0) blind.push(variant.name);
  }
  console.log('\n| thief | p50 | p95 | undetected |');
  console.log('|---|---|---|---|');
  const runs = Number(values.thefts);
  let caught = 0;
  for (const thief of THIEVES) {
    const times = await thefts(thief, runs, seed, 20_000);
    const found = times.filter(Number.isFinite);
    if (thief.isHidden !== true) caught += found.length;
    const at = (share: number) =>
      times.length === 0 ? '-' : `${times[Math.ceil(share * times.length) - 1]?.toFixed(0)} s`;
    console.log(`| ${thief.name} | ${at(0.5)} | ${at(0.95)} | ${runs - found.length} of ${runs} |`);
  }
  console.log(`\nhonest sessions lost: ${lost} of ${safe}`);
  console.log(
    `copies caught: ${caught}/${runs * THIEVES.filter(({ isHidden }) => isHidden !== true).length}`,
  );
  for (const name of blind)
    console.log(`nobody was lost under: ${name}; with so few pages nothing is learnt`);
  return lost === 0 ? 0 : 1;
}
