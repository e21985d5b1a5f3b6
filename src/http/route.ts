import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import type { z } from 'zod';
import type { Actor } from '../actor.js';
import type { HumanCheckAction } from '../config/options.js';
import type { RateLimitName } from '../config/rate-limits.js';
import type { SignInResult } from '../core/sign-in/sign-in.js';
import type { ErrorCode } from '../errors.js';
import type { MountedPages, PageName, ProviderButton } from '../templates/template-data.js';
import type { SignInResponse } from './answer/sign-in-response.js';
import type { Credential } from './caller/authenticators.js';
import type { RequestAuth } from './caller/request-auth.js';
import type { FormBodyOptions, PageInput } from './pages/views.js';

export type RouteMethod = 'get' | 'post' | 'patch' | 'delete';

/** Who may call a route. A route without a guard is open to everybody. */
export interface RouteGuard {
  /** The kinds of credential it takes. Default: the session cookie alone, so that a key or token changes no credential of its owner. */
  credentials?: readonly Credential[];
  /** People who must first set up a second factor, or choose a new password, may call it all the same: it is how they do so. */
  allow?: 'must_enroll' | 'must_change_password';
  /** Asks for a fresh proof: of every user, or only of one who has a second factor. */
  recent?: 'login' | 'factor';
  /** Asks the database although the method is safe. */
  fresh?: true;
  /** Permissions that the user must hold at `global`, all of them. A user who acts as another person is refused. */
  permission?: string | readonly string[];
  /** A change that may be made while acting as another person; every other one is refused then. */
  impersonated?: 'allowed';
  /** Visitors pass as well; the guard holds for people who are signed in. */
  optional?: true;
}

/** A limit of `rateLimits` for the address of the caller, or for the user. */
export type RouteLimit = RateLimitName | { name: string; like: RateLimitName; by?: 'ip' | 'user' };

/** One request as a route sees it. */
export interface Call<B = undefined, Q = undefined> {
  readonly req: Request;
  readonly res: Response;
  /** Checked against the route's schema; a route without one accepts no fields. */
  readonly body: B;
  /** Checked against the route's schema. */
  readonly query: Q;
  /** A parameter of the path, decoded. */
  readonly param: (name: string) => string;
  readonly auth: RequestAuth;
  readonly actor: Actor;
  /** The signed-in user. @throws AuthTunaError the reason why the request has no user */
  readonly user: Express.User;
  /** Whether the answer is a page: pages are mounted, and a form was posted or a browser opened the address. */
  readonly wantsPage: boolean;
}

/** What a route answers: JSON for a script, and for a page's form a path of this site or a page. Nothing where it has answered itself. */
export type RouteAnswer =
  | {
      json?: unknown;
      /** For a script; default 200, or 204 without a body. */
      status?: number;
      /** Where a form is sent on to, with 303. */
      redirectTo?: string;
    }
  | { json?: unknown; status?: number; page: { [N in PageName]: [name: N, data: PageInput<N>] }[PageName] }
  | ({ signIn: SignInResult } & SignInResponse)
  | undefined;

/**
 * A route as a value: mounting, OpenAPI, `authtuna routes` and the documentation read the same table.
 *
 * The order is always: guard, limit, body (then the guard again, where the body took long), human check, run.
 */
export interface Route<
  B extends z.ZodType | undefined = z.ZodType | undefined,
  Q extends z.ZodType | undefined = z.ZodType | undefined,
> {
  method: RouteMethod;
  /** Below the feature's own path. */
  path: string;
  /** One line on what it does. */
  summary: string;
  guard?: RouteGuard;
  limit?: RouteLimit;
  /** What visitors meet besides, on a route that users call too. */
  forVisitors?: { limit?: RouteLimit; human?: HumanCheckAction };
  body?: B;
  query?: Q;
  /** A page's form posts here too, and how its fields are read. Without it the body is JSON only. */
  form?: FormBodyOptions;
  /** Programs post urlencoded bodies here as well as JSON, as OAuth demands. Without a cookie there is nothing to forge, so no form token is asked for. */
  takesForms?: true;
  /** Nothing is left to do for a session that has ended: the route answers as for one that it ends, and a form needs no token then. */
  endsSession?: true;
  /** The route exists for forms alone: it is not mounted without pages. */
  isFormOnly?: true;
  human?: HumanCheckAction;
  /** The statuses of success, each with one line on its body. */
  answers: Readonly<Record<number, string>>;
  /** The forms that are shown again when a post is refused, the first that cures the refusal. */
  forms?: readonly ErrorRequestHandler[] | undefined;
  /** Answers refusals of this route alone, with and without pages. */
  onError?: readonly ErrorRequestHandler[];
  /** Another site may post here: the answer sends the browser on to a GET of ours and does nothing else. */
  isCrossSite?: true;
  /** It waits for another server, such as a provider: it may take 30 s instead of 8. */
  asksOthers?: true;
  run(call: Call<OutputOf<B>, OutputOf<Q>>): RouteAnswer | Promise<RouteAnswer>;
}

type OutputOf<S> = S extends z.ZodType ? z.output<S> : undefined;

/** Keeps the types of a route's schemas while it becomes a value. */
export function route<
  B extends z.ZodType | undefined = undefined,
  Q extends z.ZodType | undefined = undefined,
>(definition: Route<B, Q>): Route {
  return definition as unknown as Route;
}

/** A page: an address that a browser opens. */
export interface PageRoute {
  path: string;
  guard?: RouteGuard;
  /** The same for everybody, such as a stylesheet: no caller is looked for. */
  isStatic?: true;
  /** Shown in order; an error handler among them is asked when the one before refuses. */
  show: readonly (RequestHandler | ErrorRequestHandler)[];
}

/** The further ways in that the sign-in page offers. */
export interface SignInMethods {
  magicLink: boolean;
  emailCode: boolean;
  passkeys: boolean;
  providers: readonly ProviderButton[];
  /** Whether organizations have providers of their own, found by the domain of an address. */
  organizations(): Promise<boolean>;
}

/** The pages of a feature, made when its router is mounted with pages. */
export interface FeaturePages {
  /** The name by which links to it are shown; none for a feature whose pages are linked from nowhere. */
  mounted?: keyof MountedPages;
  routes: readonly PageRoute[];
  /** Where a browser that opens a page is sent when a guard refuses it with this code, instead of seeing the error. */
  cures?: Partial<Record<ErrorCode, string>>;
  signInMethods?: Partial<SignInMethods>;
  /**
   * The page that a form stands on. A form leads back there after the step-up or sign-in for want of which it was refused, if the form does not
   * say where.
   */
  formAt?: (req: Request) => string;
  /** Answers refusals that are of this feature alone. */
  onError?: readonly ErrorRequestHandler[];
}

/** Everything that a feature mounts at one path. */
export interface Feature {
  /** Where it stands in `authTuna.routers`. */
  name: string;
  /** Its usual place, such as `/auth/mfa`. */
  path: string;
  routes: readonly Route[];
  pages: FeaturePages | null;
  /** Answers refusals that are of this feature alone. */
  onError?: readonly ErrorRequestHandler[];
  /** Whole paths at which another site may post; see `Route.isCrossSite`. */
  crossSitePosts?: readonly string[];
}
