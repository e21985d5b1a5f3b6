import express, { type ErrorRequestHandler, type Request, type RequestHandler, type Response } from 'express';
import type { Config } from '../../config/config.js';
import type { Runtime } from '../../core/runtime.js';
import { AuthTunaError, type ErrorCode } from '../../errors.js';
import type { PageData, PageName, PageNotice } from '../../templates/template-data.js';
import type { Templates } from '../../templates/templates.js';
import {
  type CookieSpec,
  cookieSpec,
  guardLateCookie,
  readCookie,
  serializeCookie,
  setCookie,
} from '../answer/cookies.js';
import { contentSecurityPolicy, securityHeaders } from '../answer/headers.js';
import { LANGUAGE_SECONDS, languageCookieSpec, languagesOf } from '../answer/language-cookie.js';
import { ownSessionCookieSpec, ownSessionToken } from '../answer/own-session-cookie.js';
import { safeReturnTo } from '../answer/return-to.js';
import { findAuth } from '../caller/attach.js';
import { asAuthTunaError, type ErrorPage, handle, headersOf, STATUS } from '../errors.js';
import { type FormHolder, FormTokens, PRE_SESSION_SECONDS } from '../guards/csrf.js';
import { afterBody, BODY_LIMIT, jsonBody, parseForm, readText } from '../validate.js';
import { fieldsOfForm, shownAgain } from './forms.js';
import { type NoticeName, Notices } from './notices.js';
import { errorText, formProblem } from './problem-texts.js';

const LINK_SECONDS = 1800; // as long as a reset link works: a page that stays open must not die before its mail says so
const MAX_FORM_FIELDS = 64;
const PRE_SESSION_BYTES = 16;
const PRE_SESSION_SHAPE = /^[\w-]{22}$/;
const LINK_TOKEN_SHAPE = /^[\w.-]{1,128}$/;

/** Pages without a form; they need no token and so no cookie before a session. */
const FORMLESS: ReadonlySet<PageName> = new Set([
  'message',
  'error',
  'error-type',
  'passwordless/sent',
  'device/done',
  'social/continue',
  'mfa/recovery-codes',
  'api-keys/issued',
  'orgs/link',
  'dev/mailbox',
  'dev/mail',
]);

/** The pages whose forms show `humanCheckWidget`. */
const ASKS_FOR_HUMANS: ReadonlySet<PageName> = new Set([
  'auth/login',
  'auth/signup',
  'auth/forgot-password',
  'passwordless/request',
]);

/** What a page is rendered from, without what is filled in for every page. */
export type PageInput<N extends PageName> = Omit<
  PageData[N],
  'locale' | 'csrfToken' | 'problem' | 'returnTo' | 'impersonation'
> &
  Partial<Pick<PageData[N], Extract<keyof PageData[N], 'problem' | 'returnTo'>>>;

/** The outcome of a route, for a script and for a page's form. */
export interface Answer {
  /** The body for a script; none for an answer without one. */
  json?: unknown;
  /** For a script; default 200, or 204 without a body. */
  status?: number;
  /** A path of this site that a form is sent on to, with 303. */
  redirectTo: string;
}

/** A page with a form, and what is shown when its post is refused. */
export interface FormView {
  /** GET: the empty form. */
  readonly show: RequestHandler;
  /** Error handler of the POST: the form again, with what was typed (never a secret) and what is wrong. Scripts get the problem document. */
  readonly problem: ErrorRequestHandler;
}

export interface FormViewOptions {
  /** Texts of `problems.*` that say it better here than the code's own: `{ invalid_credentials: 'invalid_login' }`. */
  texts?: Partial<Record<ErrorCode, string>>;
  /** Further refusals that this form cures: a dead link, where the form asks for a new one. */
  cures?: readonly ErrorCode[];
}

export interface FormBodyOptions {
  /** Checkboxes: present is true, absent false. */
  checkboxes?: readonly string[];
  /** A form without a `token` field takes it from the link that was opened for this purpose. */
  link?: string;
  /** A session that has ended is no refusal, and a form without a session needs no token: there is nothing that it could change. */
  mayHaveEnded?: boolean;
}

/** Refusals that a person cures in the form itself; all others get a page of their own. */
const CURED_IN_FORM: ReadonlySet<ErrorCode> = new Set([
  'invalid_input',
  'invalid_credentials',
  'weak_password',
  'conflict',
  'rate_limited',
  'cross_site_request',
  'unavailable',
]);

/** Codes after which a visitor is led to the sign-in; a person who is signed in goes on. */
const OF_VISITORS = /^(invalid_token$|social_)/;

/** What a form's post carried besides the fields of its schema. */
interface PostedForm {
  returnTo: string | null;
}

/**
 * Pages and forms: which requests want one, rendering with the right headers, tokens against forged posts, and links from mails.
 *
 * One per instance of the library. Everything here works without a script in the browser and stores nothing.
 */
// Long: every page, form and destination is shown by one object, which features receive.
export class Views {
  readonly templates: Templates;
  readonly #config: Config;
  readonly #formTokens: FormTokens;
  readonly #headers: RequestHandler;
  readonly #preSession: CookieSpec;
  readonly #link: CookieSpec;
  readonly #ownSession: CookieSpec;
  readonly #notices: Notices;
  readonly #language: CookieSpec;
  readonly #posted = new WeakMap<Request, PostedForm>();
  readonly #cameFrom = new WeakMap<Request, string>();
  /** Set once per response, so that two tokens of one page agree on the cookie. */
  readonly #begun = new WeakMap<Response, string>();
  readonly #cures = new Map<ErrorCode, string>();
  readonly #formTargets = new WeakMap<Response, readonly string[]>();
  readonly #widgetSources: Readonly<Record<string, readonly string[]>> | null;
  #hasPages = false;

  constructor(runtime: Runtime, templates: Templates) {
    this.templates = templates;
    this.#config = runtime.config;
    this.#formTokens = new FormTokens(runtime);
    this.#headers = securityHeaders(runtime.config.isSecure);
    this.#preSession = cookieSpec(runtime.config, 'at_pre');
    this.#link = cookieSpec(runtime.config, 'at_link');
    this.#ownSession = ownSessionCookieSpec(runtime.config);
    this.#notices = new Notices(runtime.config);
    this.#language = languageCookieSpec(runtime.config);
    this.#widgetSources = widgetSources(runtime.config);
    const { paths } = runtime.config;
    if (paths.hasOwnSignIn) this.sendTo('unauthenticated', paths.signIn);
  }

  /**
   * Where a browser that opens a page is sent when a guard refuses it with this code, instead of seeing the error:
   * `sendTo('unauthenticated', '/auth/login')`. It comes back by `returnTo`.
   */
  sendTo(code: ErrorCode, path: string): void {
    this.#cures.set(code, path);
  }

  /** Whether to answer with a page: a browser opened an address or posted a form. A script that takes anything gets JSON. */
  wantsPage(req: Request): boolean {
    if (isForm(req)) return req.accepts(['html', 'json']) === 'html';
    if (/json/i.test(req.headers['content-type'] ?? '')) return false;
    return req.accepts(['json', 'html']) === 'html';
  }

  /** Renders a page in the visitor's language, with a strict policy and `Cache-Control: no-store`. */
  page<N extends PageName>(req: Request, res: Response, name: N, data: PageInput<N>, status = 200): void {
    this.#headers(req, res, () => {});
    const targets = this.#formTargets.get(res);
    const further = {
      ...(ASKS_FOR_HUMANS.has(name) && this.#widgetSources),
      ...(targets !== undefined && { 'form-action': targets }),
    };
    if (Object.keys(further).length > 0)
      res.setHeader('Content-Security-Policy', contentSecurityPolicy(further));
    res.setHeader('Cache-Control', 'no-store');
    const html = this.templates.renderPage(name, {
      problem: null,
      // On a page that says what is wrong there is nothing to press once more.
      notice: this.#notices.take(req, res) ?? ('problem' in data && data.problem ? null : confirmedOf(req)),
      ...(FORMLESS.has(name) ? {} : { csrfToken: this.csrfToken(req, res), returnTo: this.returnTo(req) }),
      ...data,
      impersonation: this.#impersonationOf(req, res),
      locale: this.templates.localeFor(languagesOf(req, this.#language)),
      // The answer to a form has no address to come back to, and that of a refusal may hold what others wrote, such as a provider.
      languageAt: this.#hasPages && req.method === 'GET' && status < 400 ? this.#pageOf(req) : null,
    } as unknown as PageData[N]);
    res.status(status).type('html').send(html);
  }

  /** What every page says while somebody acts as another person, and after that ended by itself. */
  #impersonationOf(req: Request, res: Response): PageData['message']['impersonation'] {
    const auth = findAuth(req);
    const isActing = auth?.session?.impersonatorId != null;
    const isVisitor = auth != null && auth.user === null && auth.locked === null;
    if (!isActing && !(isVisitor && ownSessionToken(req, this.#ownSession) !== null)) return null;
    const action = `${this.#config.paths.admin}/impersonation/end`;
    return { email: auth.user?.email ?? null, action, csrfToken: this.csrfToken(req, res) };
  }

  /** Lets the forms on the page of this answer be redirected to these origins: providers, where an account is linked. */
  allowFormsTo(res: Response, origins: readonly string[]): void {
    this.#formTargets.set(res, origins);
  }

  /** A page with a form. @param data what the page shows besides the form; asked again when a post is refused */
  form<N extends Exclude<PageName, 'message' | 'error'>>(
    name: N,
    data: (req: Request, res: Response) => PageInput<N> | Promise<PageInput<N>>,
    options: FormViewOptions = {},
  ): FormView {
    return {
      show: handle(async (req, res) => this.page(req, res, name, await data(req, res))),
      problem: (error, req, res, next) => {
        const known = asAuthTunaError(error);
        const isCuredHere =
          known !== null &&
          known.details.sso === undefined && // cured at an organization's own provider
          (CURED_IN_FORM.has(known.code) || options.cures?.includes(known.code) === true);
        if (!isCuredHere || res.headersSent || !this.wantsPage(req)) return next(error);
        Promise.resolve(data(req, res))
          .then((input) => {
            for (const [header, value] of Object.entries(headersOf(known))) res.setHeader(header, value);
            const problem = formProblem(known, req.body, options.texts);
            const refused = { values: shownAgain(req.body), ...input, problem };
            this.page(req, res, name, refused as unknown as PageInput<N>, STATUS[known.code]);
          })
          .catch(next);
      },
    };
  }

  /**
   * Reads the body of a route that a page posts to: JSON as everywhere, or a form with its token.
   *
   * `csrfToken` and `returnTo` are taken out of a form, and fields left empty count as not sent.
   * @throws AuthTunaError `cross_site_request` for a form without a token of this very session (or browser, before one);
   * `unsupported_media_type`, `payload_too_large`, `malformed_request`
   * @see docs/requirements.md CS-2 to CS-4
   */
  formOrJson({ checkboxes = [], link, mayHaveEnded = false }: FormBodyOptions = {}): RequestHandler {
    const json = jsonBody({ mayHaveEnded });
    const form = express.urlencoded({
      extended: false,
      limit: BODY_LIMIT,
      inflate: false,
      parameterLimit: MAX_FORM_FIELDS,
    });
    return (req, res, next) => {
      if (!isForm(req)) return json(req, res, next);
      if (Number(req.headers['content-length'] ?? 0) > BODY_LIMIT)
        return next(new AuthTunaError('payload_too_large'));
      form(req, res, (error?: unknown) => {
        const refusal = error ?? readText(req, parseForm);
        if (refusal !== undefined) return next(asAuthTunaError(refusal) ?? refusal);
        const { csrfToken, returnTo, ...fields } = (req.body ?? {}) as Record<string, unknown>;
        this.#posted.set(req, { returnTo: this.#safe(returnTo) });
        req.body = fieldsOfForm(fields, checkboxes);
        const holder = this.#holderOf(req);
        if (mayHaveEnded && holder?.kind !== 'session') return next();
        if (holder === null)
          return next(new AuthTunaError('cross_site_request', { reason: 'no_form_cookie' }));
        if (!this.#formTokens.isValid(csrfToken, holder)) {
          const isOld = this.#formTokens.isTooOld(csrfToken, holder);
          return next(new AuthTunaError('cross_site_request', isOld ? {} : { reason: 'session_changed' }));
        }
        if (link !== undefined && req.body.token === undefined) {
          const token = this.kept(req, link);
          if (token === null) return next(linkNotHere());
          req.body.token = token;
        }
        if (mayHaveEnded) next();
        else afterBody(req, next);
      });
    };
  }

  /** The token for a form on the page of this answer. Before a session it comes with a cookie of its own. */
  csrfToken(req: Request, res: Response): string {
    res.setHeader('Cache-Control', 'no-store');
    const sessionId = sessionIdOf(req);
    return this.#formTokens.issue(
      sessionId === null
        ? { kind: 'pre_session', id: this.browserId(req, res) }
        : { kind: 'session', id: sessionId },
    );
  }

  /** A value that only this browser has, kept in a cookie for an hour; what a magic link is bound to. */
  browserId(req: Request, res: Response): string {
    const begun = this.#begun.get(res);
    if (begun !== undefined) return begun;
    const id = this.knownBrowserId(req) ?? this.#config.random.bytes(PRE_SESSION_BYTES).toString('base64url');
    this.#begun.set(res, id);
    const cookie = serializeCookie(this.#preSession, id, PRE_SESSION_SECONDS);
    guardLateCookie(res, this.#preSession, cookie, () => false); // one cache in between, and its visitors would share a browser
    return id;
  }

  /** The browser's value of {@link browserId}, null when it brought none. */
  knownBrowserId(req: Request): string | null {
    const cookie = readCookie(req.headers.cookie, this.#preSession.name);
    return cookie !== null && PRE_SESSION_SHAPE.test(cookie) ? cookie : null;
  }

  /** Whether a form was posted, and no JSON. */
  isForm(req: Request): boolean {
    return isForm(req);
  }

  /** Answers a script with JSON and sends a page's form on with 303. */
  answer(req: Request, res: Response, { json, status, redirectTo }: Answer): void {
    if (isForm(req) && this.wantsPage(req)) this.redirect(res, redirectTo);
    else if (json === undefined) res.status(status ?? 204).end();
    else res.status(status ?? 200).json(json);
  }

  /** Leaves a text for the page that this answer leads to, where that page is ours. */
  notice(res: Response, name: NoticeName, values?: Readonly<Record<string, string>>): void {
    this.#notices.leave(res, name, values);
  }

  /** 303 to a path of this site. */
  redirect(res: Response, path: string): void {
    res.setHeader('Cache-Control', 'no-store');
    res.status(303).setHeader('Location', path);
    res.end();
  }

  /** Where to go afterwards: of the posted form or the query, as a path of this site; null when none was given. */
  returnTo(req: Request): string | null {
    const posted = this.#posted.get(req);
    return posted === undefined ? this.#safe(req.query.returnTo) : posted.returnTo;
  }

  #safe(value: unknown): string | null {
    const { origin, paths } = this.#config;
    return value === undefined || value === '' ? null : safeReturnTo(value, origin, paths.afterSignIn);
  }

  /** `path?returnTo=…`, or the path alone. */
  withReturnTo(path: string, returnTo: string | null): string {
    return returnTo === null ? path : `${path}?returnTo=${encodeURIComponent(returnTo)}`;
  }

  /**
   * First handler of a page that mails link to: takes `?token=…` out of the address into a short cookie and comes back without it.
   *
   * Nothing is looked up or spent, so that a scanner may open the link as often as it likes.
   * @see docs/requirements.md EM-4, EM-7
   */
  takeLink(purpose: string, path: string): RequestHandler {
    return (req, res, next) => {
      const { token } = req.query;
      if (token === undefined) return next();
      if (typeof token === 'string' && LINK_TOKEN_SHAPE.test(token)) this.keep(res, purpose, token);
      this.#headers(req, res, () => {});
      this.redirect(res, path);
    };
  }

  /** Keeps a value for the next pages of this browser, for half an hour; one at a time. What should not stand in an address goes here. */
  keep(res: Response, name: string, value: string): void {
    const kept = `${name}.${Buffer.from(value, 'utf8').toString('base64url')}`;
    setCookie(res, this.#link, serializeCookie(this.#link, kept, LINK_SECONDS));
  }

  /** The value kept under that name, null when there is none. It comes from the browser: treat it as input. */
  kept(req: Request, name: string): string | null {
    const cookie = readCookie(req.headers.cookie, this.#link.name);
    if (cookie === null || !cookie.startsWith(`${name}.`)) return null;
    return Buffer.from(cookie.slice(name.length + 1), 'base64url').toString('utf8');
  }

  /** The token of the link that was opened under that name. @throws AuthTunaError `invalid_token` where this browser does not have it */
  keptLink(req: Request, name: string): string {
    const token = this.kept(req, name);
    if (token === null) throw linkNotHere();
    return token;
  }

  /** Takes the kept value out of the browser. The token of a spent link stays: pressed again, its page says what became of it. */
  forget(res: Response): void {
    setCookie(res, this.#link, serializeCookie(this.#link, '', 0));
  }

  /**
   * `GET <auth>/assets/:name`: stylesheets and scripts of the pages, cached for good under their hashed address. Mounting it is what
   * lets errors be answered with pages.
   */
  assets(): RequestHandler {
    this.#hasPages = true;
    return (req, res, next) => {
      const asset = this.templates.asset(String(req.params.name));
      if (asset === null) return next(new AuthTunaError('not_found'));
      const isNamedByHash = asset.path.endsWith(`?v=${String(req.query.v)}`);
      this.#headers(req, res, () => {});
      res.removeHeader('Vary'); // the same for everybody
      res.setHeader('Cache-Control', isNamedByHash ? 'public, max-age=31536000, immutable' : 'no-cache');
      res.setHeader('Content-Type', asset.contentType);
      res.send(asset.body);
    };
  }

  /** For the error handler: sends a browser to where the refusal is cured, or shows it a page. */
  readonly errorPage: ErrorPage = (req, res, failure) => {
    const { status, retryAfterSeconds, singleSignOn } = failure;
    const code = errorText(failure);
    const cure = this.#cures.get(failure.code as ErrorCode);
    if ((!this.#hasPages && cure === undefined) || !this.wantsPage(req)) return false;
    if (this.#hasPages && singleSignOn !== undefined) {
      const { path, name } = singleSignOn;
      const continueUrl = this.withReturnTo(path, this.returnTo(req));
      this.page(req, res, 'social/continue', { kind: 'demanded', name, continueUrl }, status);
      return true;
    }
    const isOpening = req.method === 'GET' || req.method === 'HEAD';
    if (isOpening && cure !== undefined && !this.#isAt(req, cure)) {
      this.#headers(req, res, () => {});
      this.redirect(res, this.withReturnTo(cure, this.addressOf(req)));
      return true;
    }
    if (!this.#hasPages) return false;
    const requestId = req.headers['x-request-id'];
    const shown = {
      code,
      status,
      requestId: typeof requestId === 'string' ? requestId.slice(0, 128) : null,
      retryAfterSeconds: retryAfterSeconds ?? null,
      ...this.#wayOn(req, failure),
    };
    try {
      this.page(req, res, 'error', shown, status);
    } catch (error) {
      this.#config.logger.error('The error page could not be rendered.', { error }); // a host's template, most likely
      return false;
    }
    return true;
  };

  /** Keeps the language that a visitor chose. @throws AuthTunaError `not_found` for a language without texts */
  chooseLanguage(res: Response, locale: string): void {
    if (!this.templates.locales.includes(locale)) throw new AuthTunaError('not_found');
    setCookie(res, this.#language, serializeCookie(this.#language, locale, LANGUAGE_SECONDS));
  }

  /** Says where a form stood whose answer leads through the sign-in. */
  leadBack(req: Request, path: string): void {
    this.#cameFrom.set(req, path);
  }

  /** The address that the browser opened, as it is reached from outside. */
  addressOf(req: Request): string {
    const { origin, prefix, paths } = this.#config;
    return safeReturnTo(outside(req.originalUrl, prefix), origin, paths.afterSignIn);
  }

  /** The address of the page that was opened, with a `returnTo` that passed the check. */
  #pageOf(req: Request): string {
    const { pathname, searchParams } = new URL(this.addressOf(req), this.#config.origin);
    if (searchParams.has('returnTo')) searchParams.set('returnTo', this.returnTo(req) ?? '/');
    const query = String(searchParams);
    return query === '' ? pathname : `${pathname}?${query}`;
  }

  /** Where the button of an error page leads. */
  #wayOn(req: Request, { code, continueUrl, signInUrl, retryUrl }: Parameters<ErrorPage>[2]) {
    const isOpening = req.method === 'GET' || req.method === 'HEAD';
    const wanted =
      this.returnTo(req) ??
      (isOpening ? this.addressOf(req) : (this.#cameFrom.get(req) ?? this.#refererOf(req)));
    const signIn = `${this.#config.paths.auth}/login`;
    const leadsToSignIn = code === 'unauthenticated' || code === 'session_revoked';
    const isSignedIn = findAuth(req)?.user != null;
    return {
      continueUrl:
        continueUrl ??
        (isSignedIn && OF_VISITORS.test(code)
          ? (this.returnTo(req) ?? this.#config.paths.afterSignIn)
          : null),
      signInUrl:
        signInUrl ??
        (leadsToSignIn ? this.withReturnTo(signIn, wanted) : this.withReturnTo(signIn, this.returnTo(req))),
      retryUrl:
        retryUrl ??
        (isOpening && (code === 'rate_limited' || code === 'unavailable') ? this.addressOf(req) : null),
    };
  }

  /** The page of this site that a form stood on; null when the browser does not say, or it was one of ours before a session. */
  #refererOf(req: Request): string | null {
    const { referer } = req.headers;
    if (typeof referer !== 'string' || !URL.canParse(referer)) return null;
    const { origin, pathname, search } = new URL(referer);
    const { auth } = this.#config.paths;
    if (origin !== this.#config.origin || pathname.startsWith(`${auth}/`)) return null;
    return this.#safe(pathname + search);
  }

  #isAt(req: Request, path: string): boolean {
    return outside(req.originalUrl.split('?', 1)[0] ?? '', this.#config.prefix) === path;
  }

  #holderOf(req: Request): FormHolder | null {
    const sessionId = sessionIdOf(req);
    if (sessionId !== null) return { kind: 'session', id: sessionId };
    const id = this.knownBrowserId(req);
    return id === null ? null : { kind: 'pre_session', id };
  }
}

/** The link itself may still work: only this browser does not have it, or no longer. */
function linkNotHere(): AuthTunaError {
  return new AuthTunaError('invalid_token', { reason: 'link_not_here' });
}

/** What the policy of those pages allows besides; null without a widget. */
function widgetSources({ humanCheckWidget: widget, origin }: Config): Record<string, string[]> | null {
  if (widget === undefined) return null;
  const scripts = widget.scripts.map((address) => new URL(address, origin).origin);
  const origins = [...new Set([...scripts, ...widget.origins])].filter((each) => each !== origin);
  const directives = ['script-src', 'style-src', 'img-src', 'connect-src', 'frame-src'];
  return Object.fromEntries(
    directives.map((name) => [name, name === 'frame-src' ? ["'self'", ...origins] : origins]),
  );
}

function isForm(req: Request): boolean {
  return /^application\/x-www-form-urlencoded\s*(;|$)/i.test(req.headers['content-type'] ?? '');
}

/** A path with the prefix that a proxy stripped; one that still has it stays as it is. */
function outside(path: string, prefix: string): string {
  const hasIt = prefix === '' || path === prefix || path.startsWith(`${prefix}/`);
  return hasIt ? path : prefix + path;
}

/** After a step-up for a form, the page asks to press the button again: the form itself was not kept. */
function confirmedOf(req: Request): PageNotice | null {
  return req.query.confirmed === 'again' ? { name: 'press_again', values: {} } : null;
}

/** A session that waits for a step-up counts too, because only such a session is shown the form for it. */
function sessionIdOf(req: Request): string | null {
  const auth = findAuth(req);
  return auth?.session?.id ?? auth?.locked?.session.id ?? null;
}
