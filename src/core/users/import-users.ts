import { z } from 'zod';
import type { Actor } from '../../actor.js';
import { newId } from '../../crypto/random.js';
import { recognizeHash } from '../../crypto/recognize-hash.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuditManager } from '../changes/audit.js';
import { Ledger, type Write } from '../changes/ledger.js';
import { requireHostColumns } from '../host-columns.js';
import { canonicalEmail, canonicalUsername } from '../identifiers.js';
import { validate } from '../validate.js';
import { type Completion, planCompletion } from './complete-users.js';
import type { ImportedUser, ImportOptions, ImportProblem, ImportReport, Prepared } from './imported-user.js';
import type { UserCore } from './user-core.js';

const BATCH = 500;
const MAX_PROBLEMS = 1000;

const rowInput = z.strictObject({
  id: z.string().min(1).optional(),
  email: z.string(),
  username: z.string().nullish(),
  passwordHash: z.string().nullish(),
  emailVerified: z.boolean().optional(),
  createdAt: z.date().optional(),
  isSuspended: z.boolean().optional(),
  socialAccounts: z
    .array(z.strictObject({ provider: z.string().min(1), subject: z.string().min(1) }))
    .readonly()
    .optional(),
  data: z.record(z.string(), z.unknown()).optional(),
});

/**
 * Imports users in batches of 500, each stored as a whole or not at all. An address that has an account is skipped, so an import that was cut
 * off is continued by running it again. A row with an `id` completes the user of that id.
 *
 * @throws AuthTunaError `invalid_input` for a row of the wrong shape
 */
export async function importUsers(
  core: UserCore,
  rows: AsyncIterable<ImportedUser> | Iterable<ImportedUser>,
  actor: Actor,
  options: ImportOptions = {},
): Promise<ImportReport> {
  const report: ImportReport = {
    read: 0,
    imported: 0,
    existing: 0,
    withoutPassword: 0,
    problems: [],
    problemCount: 0,
  };
  const patient = { ...core, db: core.bulkDb };
  const ledger = new Ledger(patient, new AuditManager(patient));
  const run = new ImportRun({ ...patient, ledger }, actor, options, report);
  let batch: Prepared[] = [];
  for await (const given of rows) {
    const prepared = run.prepare(given);
    if (prepared !== null) batch.push(prepared);
    if (batch.length < BATCH) continue;
    await run.store(batch);
    batch = [];
  }
  await run.store(batch);
  return report;
}

class ImportRun {
  readonly #core: UserCore;
  readonly #actor: Actor;
  readonly #options: ImportOptions;
  readonly #report: ImportReport;
  readonly #seen = new Set<string>();

  constructor(core: UserCore, actor: Actor, options: ImportOptions, report: ImportReport) {
    this.#core = core;
    this.#actor = actor;
    this.#options = options;
    this.#report = report;
  }

  /** Checks one row; null for one that cannot be imported. */
  prepare(row: ImportedUser): Prepared | null {
    const given = validate(rowInput, row) as ImportedUser;
    requireHostColumns('user', given.data);
    this.#report.read += 1;
    const number = this.#report.read;
    const problem = (kind: ImportProblem['problem'], isImported: boolean) =>
      this.#problem({ row: number, email: given.email, problem: kind, isImported });
    const email = canonicalEmail(given.email);
    if (email === null) {
      problem('invalid_email', false);
      return null;
    }
    const isCompletion = given.id !== undefined; // which of two rows has the address, the database says
    if (!isCompletion && this.#isRepeated(email)) {
      problem('same_address_twice', false);
      return null;
    }
    if (email !== given.email.trim() && email === given.email.trim().toLowerCase())
      problem('has_capitals', true);
    const username =
      given.username == null || given.username === '' ? null : canonicalUsername(given.username);
    if (given.username != null && given.username !== '' && username === null)
      problem('invalid_username', true);
    const hasHash = given.passwordHash != null && given.passwordHash !== '';
    const hash = hasHash ? recognizeHash(given.passwordHash ?? '') : null;
    if (hasHash && hash === null) problem('unknown_hash', true);
    return {
      row: number,
      id: given.id ?? newId(this.#core.config.random),
      given,
      email,
      username: username?.username ?? null,
      usernameKey: username?.key ?? null,
      hash,
    };
  }

  /** Stores a batch, without the rows that have an account. */
  async store(batch: readonly Prepared[]): Promise<void> {
    const completed = batch.filter(({ given }) => given.id !== undefined);
    const others = batch.filter(({ given }) => given.id === undefined);
    if (completed.length > 0) await this.#complete(completed);
    if (others.length > 0) {
      const fresh = await this.#withFreeUsernames(await this.#withoutExisting(others));
      if (fresh.length > 0 && this.#options.dryRun !== true)
        await this.#write(fresh, (part) => this.#writesFor(part));
      else this.#count(fresh);
    }
    this.#options.onProgress?.(this.#report);
  }

  /** Rows of our own user model: what they lack is written. */
  async #complete(batch: readonly Prepared[]): Promise<void> {
    const plan = await planCompletion(this.#core, batch, this.#actor);
    const due: Prepared[] = [];
    for (const user of batch) {
      const completion = plan.get(user.row);
      const problem = completion?.problem ?? (this.#isRepeated(user.email) ? 'same_address_twice' : null);
      if (problem !== null) {
        this.#problem({ row: user.row, email: user.given.email, problem, isImported: false });
      } else if (completion?.writes.length === 0) this.#report.existing += 1;
      else due.push(user);
    }
    const writesOf = (part: readonly Prepared[]) =>
      Promise.resolve(part.flatMap(({ row }) => (plan.get(row) as Completion).writes));
    if (due.length > 0 && this.#options.dryRun !== true) await this.#write(due, writesOf);
    else this.#count(due);
  }

  #isRepeated(email: string): boolean {
    if (this.#seen.has(email)) return true;
    this.#seen.add(email);
    return false;
  }

  async #withoutExisting(batch: readonly Prepared[]): Promise<Prepared[]> {
    const rows = await this.#core.db.user.findMany({
      where: { email: { in: batch.map(({ email }) => email) } },
      select: { email: true },
    });
    const taken = new Set(rows.map(({ email }) => email));
    this.#report.existing += taken.size;
    return batch.filter(({ email }) => !taken.has(email));
  }

  /** An account is worth more than its username: where that is taken, the account comes without one. */
  async #withFreeUsernames(batch: readonly Prepared[]): Promise<Prepared[]> {
    const keys = batch.flatMap(({ usernameKey }) => (usernameKey === null ? [] : [usernameKey]));
    const rows =
      keys.length === 0
        ? []
        : await this.#core.db.user.findMany({
            where: { usernameKey: { in: keys } },
            select: { usernameKey: true },
          });
    const taken = new Set(rows.map(({ usernameKey }) => usernameKey));
    return batch.map((user) => {
      if (user.usernameKey === null) return user;
      const isFree = !taken.has(user.usernameKey);
      taken.add(user.usernameKey);
      if (isFree) return user;
      this.#problem({ row: user.row, email: user.given.email, problem: 'username_taken', isImported: true });
      return { ...user, username: null, usernameKey: null };
    });
  }

  async #write(
    batch: readonly Prepared[],
    writesOf: (part: readonly Prepared[]) => Promise<Write[]>,
  ): Promise<void> {
    try {
      await this.#core.ledger.commit({
        writes: await writesOf(batch),
        facts: [
          {
            type: 'user.imported',
            actor: this.#actor,
            data: { count: batch.length, ids: batch.map(({ id }) => id) },
          },
        ],
      });
      this.#count(batch);
    } catch (error) {
      if (!isUniqueViolation(error) && !isMissing(error)) throw error;
      // Somebody took an address or an identity at this moment. One by one, so that only that row is left out.
      const [only] = batch;
      if (only !== undefined && batch.length === 1) {
        this.#problem({ row: only.row, email: only.given.email, problem: 'conflict', isImported: false });
        return;
      }
      const half = Math.ceil(batch.length / 2);
      await this.#write(batch.slice(0, half), writesOf);
      await this.#write(batch.slice(half), writesOf);
    }
  }

  async #writesFor(batch: readonly Prepared[]): Promise<Write[]> {
    const { db, config, roleStore } = this.#core;
    const now = this.#core.now();
    const users = batch.map(({ id, given, email, username, usernameKey }) => ({
      ...given.data,
      id,
      email,
      username,
      usernameKey,
      emailVerifiedAt: given.emailVerified === true ? (given.createdAt ?? now) : null,
      suspendedAt: given.isSuspended === true ? now : null,
      suspendedReason: given.isSuspended === true ? 'suspended before the import' : null,
      createdAt: given.createdAt ?? now,
      updatedAt: now,
    }));
    const passwords = batch.flatMap(({ id, hash, given }) =>
      hash === null ? [] : [{ userId: id, hash, changedAt: given.createdAt ?? now }],
    );
    const socials = batch.flatMap(({ id, given }) =>
      (given.socialAccounts ?? []).map(({ provider, subject }) => ({
        id: newId(config.random),
        userId: id,
        provider,
        subject,
        createdAt: now,
        lastUsedAt: now,
      })),
    );
    const role = (await roleStore.current()).find('user');
    const roles =
      role === null
        ? []
        : batch.map(({ id }) => ({
            userId: id,
            roleId: role.id,
            scope: 'global',
            assignedById: this.#actor.userId,
            assignedAt: now,
          }));
    return [
      // The host's own row comes with each user by itself.
      ...(config.user.hostUser === undefined
        ? [db.user.createMany({ data: users })]
        : users.map((data) => db.user.create({ data }))),
      ...(passwords.length === 0 ? [] : [db.password.createMany({ data: passwords })]),
      ...(roles.length === 0 ? [] : [db.roleAssignment.createMany({ data: roles })]),
      ...(socials.length === 0 ? [] : [db.socialAccount.createMany({ data: socials })]),
    ];
  }

  #count(batch: readonly Prepared[]): void {
    this.#report.imported += batch.length;
    this.#report.withoutPassword += batch.filter(({ hash }) => hash === null).length;
  }

  #problem(problem: ImportProblem): void {
    this.#report.problemCount += 1;
    if (this.#report.problems.length < MAX_PROBLEMS) this.#report.problems.push(problem);
  }
}
