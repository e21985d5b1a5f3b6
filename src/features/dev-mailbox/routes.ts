import type { RequestHandler } from 'express';
import { AuthTunaError } from '../../errors.js';
import { cookieSpec, readCookie, serializeCookie, setCookie } from '../../http/answer/cookies.js';
import type { HttpKit } from '../../http/kit.js';
import { type Feature, route } from '../../http/route.js';
import type { DevMailbox, KeptMail } from './mailbox.js';

// Mails carry their styles inside. Scripts, forms and frames are off, and the page has no origin; a link may open the app.
const MAIL_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation";
const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;
const LOOPBACK_PEER = /^(::ffff:)?127\.|^::1$/;
const LINK = /https?:\/\/[^\s<>"]+/g;

/** The mails of a developer's machine, at `/auth/dev/mailbox`, where the base URL is a loopback one and no transport is configured. */
export function devMailboxFeature(mailbox: DevMailbox, http: HttpKit): Feature {
  const path = `${http.config.paths.auth}/dev/mailbox`;
  return {
    name: 'dev-mailbox',
    path,
    pages: { routes: [] },
    routes: [
      route({
        method: 'get',
        path: '/',
        summary: 'The mails, the newest first',
        answers: { 200: '`{ items }`' },
        run() {
          const mails = mailbox.list();
          return {
            json: { items: mails },
            page: ['dev/mailbox', { mails: mails.map((mail) => rowOf(mail, path)) }],
          };
        },
      }),
      route({
        method: 'get',
        path: '/:id',
        summary: 'One mail',
        answers: { 200: 'the mail' },
        run({ param }) {
          const mail = mailOf(mailbox, param('id'));
          return {
            json: mail,
            page: [
              'dev/mail',
              {
                mail: rowOf(mail, path),
                text: mail.text,
                links: [...new Set(mail.text.match(LINK))],
                htmlUrl: `${path}/${mail.id}/html`,
              },
            ],
          };
        },
      }),
      route({
        method: 'get',
        path: '/:id/html',
        summary: 'One mail as its reader sees it',
        answers: { 200: 'HTML' },
        run({ res, param }) {
          const mail = mailOf(mailbox, param('id'));
          res.setHeader('Content-Security-Policy', MAIL_POLICY);
          res.type('html').send(mail.html);
          return undefined;
        },
      }),
    ],
  };
}

/**
 * These mails open every account, so that only a browser on this very machine may read them: what came through a proxy, from another
 * address or under another name (DNS rebinding) sees a 404.
 */
export const onlyThisMachine: RequestHandler = (req, _res, next) => {
  const { forwarded, via, host = '' } = req.headers;
  const isProxied =
    forwarded !== undefined || via !== undefined || Object.keys(req.headers).some(isForwardingHeader);
  const isHere = LOOPBACK_HOST.test(host) && LOOPBACK_PEER.test(req.socket.remoteAddress ?? '');
  next(isHere && !isProxied ? undefined : new AuthTunaError('not_found'));
};

/**
 * Asks for the key that was logged at start: a proxy on this machine may add no header at all, and then a stranger's request looks like the
 * developer's. The key is given once in the address, and kept in a cookie.
 */
export function onlyWithKey(mailbox: DevMailbox, { config }: HttpKit): RequestHandler {
  const cookie = cookieSpec(config, 'at_mailbox');
  return (req, res, next) => {
    const kept = readCookie(req.headers.cookie, cookie.name);
    if (mailbox.isKey(kept)) return next();
    const { key } = req.query;
    if (!mailbox.isKey(key))
      return next(
        new AuthTunaError('forbidden', {
          message: 'Open the address of this mailbox that the log shows at start.',
        }),
      );
    setCookie(res, cookie, serializeCookie(cookie, String(key), null));
    next();
  };
}

function isForwardingHeader(name: string): boolean {
  return name.startsWith('x-forwarded-') || name === 'x-real-ip' || name === 'cf-connecting-ip';
}

function mailOf(mailbox: DevMailbox, id: string): KeptMail {
  const mail = mailbox.find(id);
  if (mail === null) throw new AuthTunaError('not_found');
  return mail;
}

function rowOf(mail: KeptMail, base: string) {
  return { url: `${base}/${mail.id}`, to: mail.to, subject: mail.subject, at: mail.at };
}
