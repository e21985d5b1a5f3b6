import type { Actor } from '../../actor.js';
import type { Session, User } from '../../auth.js';
import type { Core } from '../../core/core.js';
import type { Job } from '../../core/instances/jobs.js';
import { PAGE_FIELDS, type Page, type PageQuery } from '../../core/page.js';
import { invalid, requireKnownFields } from '../../core/refusals.js';
import { readHostFields } from '../../core/sign-in/host-fields.js';
import type { ExtraColumns } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { type ConsentState, Consents } from './consents.js';
import { AccountDeletions } from './deletion.js';
import { exportData, type PersonalData, type PersonalDataExport } from './export.js';
import { type HistoryEntry, history } from './history.js';

/** One of the user's own sessions; `isCurrent` for the one that asked. */
export interface OwnSession extends Session {
  isCurrent: boolean;
}

/** What a person may change of their own account at once. */
export interface AccountChange {
  /** Null takes it away. */
  username?: string | null | undefined;
  /** Fields of `signUp.fields`. */
  data?: Readonly<Record<string, unknown>> | undefined;
}

const ID_SHAPE = /^[\w-]{1,64}$/; // nothing else is ever an id, and PostgreSQL fails on a NUL

/** What people see and change of their own account. */
export class AccountManager<U extends User = User> {
  readonly #core: Core<U>;
  readonly #sources: readonly PersonalData[];
  readonly #deletions: AccountDeletions;
  readonly #consents: Consents;

  /** @param sources what features keep of a person, for the export */
  constructor(core: Core<U>, sources: readonly PersonalData[]) {
    this.#core = core;
    this.#consents = new Consents(core as unknown as Core);
    this.#sources = [...sources, { name: 'consents', of: (userId) => this.#consents.records(userId) }];
    this.#deletions = new AccountDeletions(core as unknown as Core);
  }

  /** @internal The job that erases the accounts whose days of grace are over. */
  get jobs(): Job[] {
    return [this.#deletions.job];
  }

  /** The user's own data. @throws AuthTunaError `not_found` */
  get(userId: string): Promise<U> {
    return this.#core.users.get(userId);
  }

  /** How the user stands to each purpose of `privacy.consents`. One that is `required` and whose `givenVersion` is not `version` is due. */
  consents(userId: string): Promise<ConsentState[]> {
    return this.#consents.of(userId);
  }

  /**
   * Records that the user agrees to the present version of a purpose; agreeing twice is fine.
   *
   * @throws AuthTunaError `not_found` for a purpose that is not declared; `forbidden` for anybody else
   */
  giveConsent(userId: string, purpose: string, actor: Actor): Promise<void> {
    return this.#consents.give(userId, purpose, actor);
  }

  /**
   * Takes back what the user agreed to, in every version; taking back what was not given is fine.
   *
   * @throws AuthTunaError `not_found`, `forbidden`; `conflict` for a purpose that an account needs
   */
  withdrawConsent(userId: string, purpose: string, actor: Actor): Promise<void> {
    return this.#consents.withdraw(userId, purpose, actor);
  }

  /** When the password was last changed; null for a user who has none. */
  async passwordChangedAt(userId: string): Promise<Date | null> {
    const row = await this.#core.db.password.findUnique({ where: { userId } });
    return row?.changedAt ?? null;
  }

  /**
   * Changes or, with null, removes the username, by the rules of sign-up.
   *
   * @throws AuthTunaError `invalid_input`; `conflict` with `field` when it is taken
   */
  changeUsername(userId: string, username: string | null, actor: Actor): Promise<U> {
    return this.change(userId, { username }, actor);
  }

  /**
   * Changes the own username and the host's columns that `signUp.fields` declares, each by its schema. What is left out stays.
   *
   * @throws AuthTunaError `invalid_input`; `conflict` with `field` when the username is taken
   */
  async change(userId: string, change: AccountChange, actor: Actor): Promise<U> {
    requireKnownFields(change, ['username', 'data']);
    const { config, users } = this.#core;
    const { username } = change;
    const rule = config.signUp.username;
    if (username !== undefined && rule === 'off') throw invalid('username', 'not_used', 'is not used here');
    if (username === null && rule === 'required') throw invalid('username', 'required', 'is required');
    const values = readHostFields(config.signUp.fields, change.data ?? {}, { isPartial: true });
    return users.update(
      userId,
      {
        ...(username !== undefined && { username }),
        ...(change.data !== undefined && { data: values as Partial<ExtraColumns<U>> }),
      },
      actor,
    );
  }

  /** Where the user is signed in, the last used first. No token, signature or salt is in it. @see docs/requirements.md SS-12 */
  async sessions(userId: string, currentId: string | null): Promise<OwnSession[]> {
    const sessions = await this.#core.sessions.list(userId);
    return sessions.map((session) => ({ ...session, isCurrent: session.id === currentId }));
  }

  /**
   * Ends one of the user's own sessions; one that ended already is fine.
   *
   * @throws AuthTunaError `not_found`, also for another person's, whatever the user may manage elsewhere
   */
  async endSession(userId: string, id: string, actor: Actor): Promise<void> {
    const row = ID_SHAPE.test(id) ? await this.#core.db.session.findUnique({ where: { id } }) : null;
    if (row?.userId !== userId)
      throw new AuthTunaError('not_found', { message: 'There is no such session.' });
    await this.#core.sessions.revoke(id, actor);
  }

  /** Ends all sessions of the user but this one. @returns how many were live */
  endOtherSessions(userId: string, currentId: string, actor: Actor): Promise<number> {
    return this.#core.sessions.revokeAll(userId, actor, { except: currentId });
  }

  /** What happened to the account lately, newest first: "was this you?". @throws AuthTunaError `invalid_input` for a limit outside 1 to 100 */
  async history(userId: string, query: PageQuery = {}): Promise<Page<HistoryEntry>> {
    requireKnownFields(query, PAGE_FIELDS);
    return history(this.#core as unknown as Core, userId, query);
  }

  /**
   * Everything that is kept of a person, as JSON: columns of the user, and a part for each subject. It has no secrets and no data of other people.
   *
   * @throws AuthTunaError `not_found`; `forbidden` for an actor who is neither the person nor, with `users:manage`, above them
   * @see docs/requirements.md PR-3
   */
  exportData(userId: string, actor: Actor): Promise<PersonalDataExport> {
    return exportData(this.#core, this.#sources, userId, actor);
  }

  /** When the account is erased; null when its deletion was not requested. */
  deletionAt(userId: string): Promise<Date | null> {
    return this.#deletions.effectiveAt(userId);
  }

  /**
   * Asks for the own account to be erased in `privacy.deletionGraceDays` days, and mails its owner how to take it back.
   *
   * @returns when that is
   * @throws AuthTunaError `conflict` when it was asked for already, for the last superadmin, and with `orgId` for the last owner of an
   *   organization; `forbidden` for another's account, and for an actor who is not there in person; `not_found`
   */
  requestDeletion(userId: string, actor: Actor): Promise<Date> {
    return this.#deletions.request(userId, actor);
  }

  /** Takes that back. @throws AuthTunaError `not_found` when nothing was asked for; `forbidden` for another's */
  cancelDeletion(userId: string, actor: Actor): Promise<void> {
    return this.#deletions.cancel(userId, actor);
  }

  /** Erases an account now: {@link UserManager.erase}. */
  erase(userId: string, actor: Actor): Promise<void> {
    return this.#core.users.erase(userId, actor);
  }
}
