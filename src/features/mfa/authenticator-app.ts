import type { Actor } from '../../actor.js';
import { noticeTo } from '../../core/changes/outbox.js';
import { codesKey, GUESSING } from '../../core/limits/throttle.js';
import type { SessionWithToken } from '../../core/sessions/session-writes.js';
import type { SignInCore } from '../../core/sign-in/create-sign-in.js';
import { requireOwn } from '../../core/users/own-account.js';
import { newId } from '../../crypto/random.js';
import { isMissing, isUniqueViolation } from '../../db/client.js';
import { AuthTunaError } from '../../errors.js';
import { after } from '../../time.js';
import type { RecoveryCodes } from './recovery-code-sets.js';
import { enrollment, newSeed, seedPlace, stepOf } from './totp.js';

/** What an authenticator app is told. `qrCode` is a `data:` URI of an image. */
export interface TotpEnrollment {
  secret: string;
  otpauthUrl: string;
  qrCode: string;
}

/** A seed that was shown and that no code has confirmed yet. */
interface PendingSeed {
  seed: string;
  /** Milliseconds since 1970. */
  begunAt: number;
}

const ENROLLMENT_SECONDS = 600;
const MAX_PENDING = 3; // tabs that may show a seed at once; with the newest one the oldest ends

/** Enrollment of an authenticator app, and its removal. */
export class AuthenticatorApp {
  readonly #core: SignInCore;
  readonly #recoveryCodes: RecoveryCodes;

  constructor(core: SignInCore, recoveryCodes: RecoveryCodes) {
    this.#core = core;
    this.#recoveryCodes = recoveryCodes;
  }

  /** {@link MfaManager.beginTotp} */
  async begin(userId: string, actor: Actor): Promise<TotpEnrollment> {
    const user = await requireOwn(this.#core, userId, actor);
    await this.#core.sessions.requireLive(actor);
    const { db, config, vault } = this.#core;
    const now = this.#core.now();
    const row = await db.totp.findUnique({ where: { userId } });
    if (row !== null && row.confirmedAt !== null) throw enrolledAlready();
    const id = row?.id ?? newId(config.random);
    const seed = newSeed(config.random);
    const others = row === null ? [] : this.#pendingSeeds(row, actor);
    const pending: PendingSeed[] = [{ seed, begunAt: now.getTime() }, ...others].slice(0, MAX_PENDING);
    const sealed = vault.seal(JSON.stringify(pending), pendingPlaceOf(id, actor));
    try {
      if (row === null) await db.totp.create({ data: { id, userId, sealed, lastStep: 0, createdAt: now } });
      else
        await db.totp.update({
          where: { id, confirmedAt: null, sealed: row.sealed },
          data: { sealed, createdAt: now },
        });
    } catch (error) {
      if (!isUniqueViolation(error) && !isMissing(error)) throw error;
      return this.begin(userId, actor); // another tab was first, and its seed is to stay
    }
    return enrollment(seed, config.mfa.issuer, user.email);
  }

  /** {@link MfaManager.pendingTotp} */
  async pending(userId: string, actor: Actor): Promise<TotpEnrollment> {
    const user = await requireOwn(this.#core, userId, actor);
    const row = await this.#core.db.totp.findUnique({ where: { userId } });
    if (row !== null && row.confirmedAt !== null) throw enrolledAlready();
    const [newest] = row === null ? [] : this.#pendingSeeds(row, actor);
    if (newest === undefined) throw setupIsOver();
    return enrollment(newest.seed, this.#core.config.mfa.issuer, user.email);
  }

  /** {@link MfaManager.confirmTotp} */
  async confirm(
    userId: string,
    code: string,
    actor: Actor,
  ): Promise<{ recoveryCodes: string[]; session: SessionWithToken | null }> {
    const user = await requireOwn(this.#core, userId, actor);
    const { db, vault } = this.#core;
    const now = this.#core.now();
    await this.#core.throttle.reserve(codesKey(userId), GUESSING, userId);
    const row = await db.totp.findUnique({ where: { userId } });
    if (row !== null && row.confirmedAt !== null) throw enrolledAlready();
    const pending = row === null ? [] : this.#pendingSeeds(row, actor);
    if (row === null || pending.length === 0) throw setupIsOver();
    const [shown] = pending.flatMap(({ seed }) => {
      const step = stepOf(seed, code, now);
      return step === null ? [] : [{ seed, step }];
    });
    if (shown === undefined)
      throw new AuthTunaError('invalid_credentials', { message: 'This code is not correct.' });

    const codes = await this.#recoveryCodes.replace(userId);
    const { to, data } = noticeTo(this.#core, user, actor);
    const session = await this.#core.secondFactors.commitChange(user, actor, {
      proof: { amr: ['otp'], assuranceLevel: 2 },
      writes: [
        db.totp.update({
          where: { id: row.id, confirmedAt: null },
          data: { sealed: vault.seal(shown.seed, seedPlace(row.id)), confirmedAt: now, lastStep: shown.step },
        }),
        ...codes.writes,
        this.#core.throttle.clear(codesKey(userId)),
      ],
      facts: [
        { type: 'factor.added', actor, target: { type: 'user', id: userId }, data: { factor: 'totp' } },
      ],
      mails: [{ template: 'factor-added', to, data: { ...data, factor: 'totp' } }],
    });
    return { recoveryCodes: codes.printed, session };
  }

  /** {@link MfaManager.disable} */
  async disable(userId: string, actor: Actor): Promise<{ session: SessionWithToken | null }> {
    const user = await requireOwn(this.#core, userId, actor);
    const { db } = this.#core;
    const factors = await this.#core.secondFactors.factorsOf(userId);
    if (!factors.includes('totp')) throw new AuthTunaError('not_found', { message: 'No app is enrolled.' });
    const { to, data } = noticeTo(this.#core, user, actor);
    const session = await this.#core.secondFactors.commitChange(user, actor, {
      proof: null,
      writes: [db.totp.delete({ where: { userId } })],
      facts: [
        { type: 'factor.removed', actor, target: { type: 'user', id: userId }, data: { factor: 'totp' } },
      ],
      mails: [{ template: 'factor-removed', to, data: { ...data, factor: 'totp' } }],
      removed: 'totp',
    });
    return { session };
  }

  /** What this session began to enroll within the last ten minutes, the newest first. */
  #pendingSeeds(row: { id: string; sealed: string }, actor: Actor): PendingSeed[] {
    const opened = this.#core.vault.open(row.sealed, pendingPlaceOf(row.id, actor));
    const oldest = after(this.#core.now(), -ENROLLMENT_SECONDS).getTime();
    const seeds = opened === null ? [] : (JSON.parse(opened) as PendingSeed[]);
    return seeds.filter(({ begunAt }) => begunAt > oldest);
  }
}

/** Sealed for one session until it is confirmed. */
function pendingPlaceOf(id: string, actor: Actor): string[] {
  return [...seedPlace(id), 'pending', actor.sessionId ?? ''];
}

function enrolledAlready(): AuthTunaError {
  return new AuthTunaError('conflict', { message: 'An authenticator app is set up already.' });
}

function setupIsOver(): AuthTunaError {
  return new AuthTunaError('invalid_token', { message: 'The setup took too long. Begin again.' });
}
