import type { ErrorRequestHandler, NextFunction, Request, Response } from 'express';
import { AuthTunaError } from '../../errors.js';
import { authOf } from '../../http/caller/attach.js';
import type { HttpKit } from '../../http/kit.js';
import type { FeaturePages } from '../../http/route.js';
import type { DeviceAuthorizations } from './manager.js';

/** The form of the page: routes show it again when a post is refused. */
export interface DeviceForms {
  confirm: readonly ErrorRequestHandler[];
}

/** A page to type the code, and one that shows the request. Opening them decides nothing. */
export function devicePages(
  devices: DeviceAuthorizations,
  http: HttpKit,
): { pages: FeaturePages; forms: DeviceForms } {
  const { views, config } = http;
  const path = `${config.paths.auth}/device`;
  const codeIn = (req: Request) => {
    const given = req.query.user_code ?? (req.body as { user_code?: unknown } | undefined)?.user_code;
    return typeof given === 'string' ? given.slice(0, 32) : null;
  };
  const enter = views.form(
    'device/enter',
    (req) => {
      const userCode = codeIn(req);
      return userCode === null ? {} : { values: { user_code: userCode } };
    },
    { cures: ['invalid_token'], texts: { invalid_token: 'no_tool' } },
  );
  const confirm = views.form('device/confirm', async (req) => {
    const { user, actor } = authOf(req);
    const device = await devices.find(codeIn(req) ?? '', actor);
    return { ...device, email: user?.email ?? '' };
  });
  /** Says what this person decided, and asks for the code again when it is unknown, expired or decided by others. */
  const askAgain: ErrorRequestHandler = (error, req, res, next) => {
    if (!isDead(error)) return next(error);
    devices.decisionOf(codeIn(req) ?? '', authOf(req).actor).then((decision) => {
      if (decision === null || !views.wantsPage(req)) return enter.problem(error, req, res, next);
      views.page(req, res, 'device/done', donePage(http, decision === 'approved'));
    }, next);
  };
  return {
    pages: {
      formAt: (req) => {
        const userCode = codeIn(req);
        return userCode === null ? path : `${path}?user_code=${encodeURIComponent(userCode)}`;
      },
      routes: [
        {
          path: '/',
          guard: { recent: 'login' },
          show: [
            (req: Request, res: Response, next: NextFunction) => {
              if (!views.wantsPage(req)) return next();
              return codeIn(req) === null ? enter.show(req, res, next) : confirm.show(req, res, next);
            },
            askAgain,
          ],
        },
      ],
    },
    forms: { confirm: [askAgain, confirm.problem] },
  };
}

/** What the page says after a decision. */
export function donePage(http: HttpKit, isApproved: boolean) {
  return { isApproved, accountUrl: http.mounts.pages.account ? http.accountPage() : null };
}

function isDead(error: unknown): boolean {
  return error instanceof AuthTunaError && error.code === 'invalid_token';
}
