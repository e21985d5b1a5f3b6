import type { Db } from '../../src/db/client.js';
import type { Timeline } from './timeline.js';

type Row = Record<string, unknown>;
type Where = Record<string, unknown>;

/**
 * The few calls that judging a session makes, over rows in memory, one after the other as a database serializes them.
 *
 * A statement is carried out at one moment, some time after it was sent; its answer arrives some time after that. A conditional `update`
 * that misses fails with P2025 and undoes its batch.
 */
export class MemoryDb {
  readonly sessions = new Map<string, Row>();
  readonly users = new Map<string, Row>();
  reads = 0;
  writes = 0;
  breaches: string[] = [];
  suspicious = 0;
  readonly #timeline: Timeline;
  readonly #delay: () => number;

  constructor(timeline: Timeline, delay: () => number) {
    this.#timeline = timeline;
    this.#delay = delay;
  }

  asDb(): Db {
    const call = (work: () => unknown) => new Call(work, this.#timeline, this.#delay);
    const unused = () => {
      throw new Error('the simulation does not know this call');
    };
    const db = {
      session: {
        /** Not sent: a new session is put into the table with its `data`. */
        create: ({ data }: { data: Row }) => Object.assign(call(unused), { data }),
        findMany: ({ where }: { where: { id: { in: string[] } } }) =>
          call(() => {
            this.reads += where.id.in.length;
            return where.id.in.flatMap((id) => {
              const row = this.sessions.get(id);
              return row === undefined
                ? []
                : [{ ...row, user: { ...this.users.get(row.userId as string), assignments: [] } }];
            });
          }),
        updateMany: ({ where, data }: { where: Where; data: Row }) =>
          call(() => {
            const count = this.#change(where, data);
            this.writes += count;
            return { count };
          }),
        update: ({ where, data }: { where: Where; data: Row }) =>
          call(() => {
            if (this.#change(where, data) === 0)
              throw Object.assign(new Error('no such row'), { code: 'P2025' });
            this.writes += 1;
            return {};
          }),
      },
      auditEntry: {
        create: ({ data }: { data: Row }) =>
          call(() => {
            if (data.type === 'session.breached') this.breaches.push(data.targetId as string);
            if (data.type === 'session.suspicious') this.suspicious += 1;
            return {};
          }),
      },
      counter: { findMany: () => call(() => [{ name: 'roles_version', value: 1 }]) },
      role: { findMany: () => call(() => []) },
      user: { update: unused },
      $transaction: (calls: Call[]) =>
        call(() => {
          const before = new Map([...this.sessions].map(([id, row]) => [id, { ...row }]));
          try {
            return calls.map((each) => each.work());
          } catch (error) {
            for (const [id, row] of before) this.sessions.set(id, row);
            throw error;
          }
        }),
    };
    return db as unknown as Db;
  }

  #change(where: Where, data: Row): number {
    const row = this.sessions.get(where.id as string);
    if (row === undefined || !Object.entries(where).every(([column, wanted]) => fits(row[column], wanted)))
      return 0;
    Object.assign(row, data);
    return 1;
  }
}

class Call implements PromiseLike<unknown> {
  readonly work: () => unknown;
  readonly #timeline: Timeline;
  readonly #delay: () => number;

  constructor(work: () => unknown, timeline: Timeline, delay: () => number) {
    this.work = work;
    this.#timeline = timeline;
    this.#delay = delay;
  }

  // biome-ignore lint/suspicious/noThenProperty: lazy like Prisma's promise, sent when first awaited
  then<A, B>(
    fulfilled?: ((value: unknown) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#send().then(fulfilled, rejected);
  }

  async #send(): Promise<unknown> {
    await this.#timeline.sleep(this.#delay());
    let outcome: { value: unknown } | { error: unknown };
    try {
      outcome = { value: this.work() };
    } catch (error) {
      outcome = { error };
    }
    await this.#timeline.sleep(this.#delay());
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }
}

function fits(value: unknown, wanted: unknown): boolean {
  if (wanted === null || typeof wanted !== 'object') return value === wanted;
  if (value === null || value === undefined) return false; // as in SQL
  return Object.entries(wanted).every(([operator, bound]) => {
    if (operator === 'lt') return (value as Date) < (bound as Date);
    if (operator === 'lte') return (value as Date) <= (bound as Date);
    throw new Error(`the simulation does not know ${operator}`);
  });
}
