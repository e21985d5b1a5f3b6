import { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import { AuthTunaError, misconfigured } from '../../errors.js';
import { RequestAuth } from './request-auth.js';

/**
 * Where the `RequestAuth` of a request is kept: on its list of raw headers.
 *
 * Express changes the prototype of every request, so that V8 gives each one a shape of its own, and a property added to it afterwards copies
 * that whole shape: a route that answers at once loses 4 % for each. Lists of headers all share their shape, are never replaced, and
 * nothing that walks them meets a symbol. (A `WeakMap` costs more, in garbage collection.)
 */
const AUTH = Symbol.for('authtuna.auth'); // for two copies of the library in one process, whose apps share one Express

const prepared = new WeakSet<object>();

/** @internal Says who is calling: `req.auth` and `req.user` from now on, whatever an earlier middleware put there. */
export function attachAuth(req: Request, auth: RequestAuth): void {
  if (hasOwn(req)) forgetOwn(req);
  const prototype: object = Object.getPrototypeOf(req);
  if (!prepared.has(prototype)) {
    const target = sharedByApps(req);
    if (target === req || !prepared.has(target)) defineOn(target);
    if (target !== req) prepared.add(target).add(prototype);
  }
  if (slotOf(req)[AUTH]?.isAbout(req) === false) {
    // Made out of another request, which goes on being its own.
    const value = [...req.rawHeaders];
    Object.defineProperty(req, 'rawHeaders', { configurable: true, enumerable: true, writable: true, value });
  }
  slotOf(req)[AUTH] = auth;
}

/** `auth` and `user`, which read what was set last. Who assigns to them has a property of his own from then on. */
function defineOn(target: object): void {
  const property = (name: string, get: (this: Request) => unknown): PropertyDescriptor => ({
    configurable: true,
    enumerable: true,
    get,
    set(this: Request, value: unknown) {
      Object.defineProperty(this, name, { configurable: true, enumerable: true, writable: true, value });
    },
  });
  Object.defineProperties(target, {
    auth: property('auth', function () {
      return authIn(this);
    }),
    user: property('user', function () {
      return authIn(this)?.user ?? undefined;
    }),
  });
}

function hasOwn(object: object): boolean {
  return Object.hasOwn(object, 'user') || Object.hasOwn(object, 'auth');
}

function forgetOwn(req: Request): void {
  for (const name of ['auth', 'user']) {
    if (!Reflect.deleteProperty(req, name))
      throw misconfigured(`req.${name} was defined before session() so that it cannot be replaced`);
  }
}

/**
 * What the requests of all apps of one Express inherit from, so that an app called from another one knows who is calling too: Express offers it
 * for this as `express.request`. The request itself where there is no Express, or where something in between has a `user` or `auth` that
 * would be read instead, or may be given one because it is a request.
 */
function sharedByApps(req: Request): object {
  let found: object = req;
  for (;;) {
    const next: object | null = Object.getPrototypeOf(found);
    if (found !== req && Object.hasOwn(found, 'rawHeaders')) return req;
    if (next === IncomingMessage.prototype) return found;
    if (next === null || (found !== req && hasOwn(found))) return req;
    found = next;
  }
}

function slotOf(req: Request): { [AUTH]?: RequestAuth } {
  return (req.rawHeaders ?? req) as { [AUTH]?: RequestAuth };
}

function authIn(req: Request): RequestAuth | undefined {
  const auth = slotOf(req)[AUTH];
  return auth?.isAbout(req) === true ? auth : undefined;
}

/** @internal Who is calling, or undefined where no `session()` has run. */
export function findAuth(req: Request): RequestAuth | undefined {
  const auth = authIn(req);
  return auth instanceof RequestAuth ? auth : undefined;
}

/** @internal Who is calling, with the sentence a developer needs when no `session()` has run. */
export function authOf(req: Request): RequestAuth {
  const auth = findAuth(req);
  if (auth === undefined) {
    throw new AuthTunaError('misconfigured', {
      message:
        'req.auth is missing: put app.use(authTuna.session()) before the routes that ask who is calling.',
    });
  }
  return auth;
}

/**
 * The user of a request behind `requireUser()` or another guard.
 *
 * @throws AuthTunaError `unauthenticated` when the request has no user, `misconfigured` when `session()` was not mounted before
 */
export function currentUser(req: Request): Express.User {
  const auth = authOf(req);
  const { user } = auth;
  if (user === null) throw auth.refusal;
  return user;
}
