import { type Request, type RequestHandler, Router } from 'express';
import { AuthTunaError } from '../../errors.js';
import type { HttpKit } from '../../http/kit.js';
import type { DevMailbox, KeptMail } from './mailbox.js';

// Mails carry their styles inside. Scripts, forms and frames are off, and the page has no origin; a link may open the app.
const MAIL_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation";
const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;
const LOOPBACK_PEER = /^(::ffff:)?127\.|^::1$/;
const LINK = /https?:\/\/[^\s<>"]+/g;

/**
 * `GET / :id :id/html`: the mails of a developer's machine. Mounted only where the base URL is a loopback one and no transport is configured.
 *
 * Whoever reads these mails owns the accounts, so that this answers nobody but a browser on this very machine: what came through
 * a proxy, from another address or under another name (DNS rebinding) sees a 404.
 */
export function devMailboxRouter(mailbox: DevMailbox, http: HttpKit): Router {
  const { views } = http;
  const base = `${http.config.paths.auth}/dev/mailbox`;
  const router = Router();
  router.use(onlyThisMachine, http.prepare);

  router.get('/', (req, res) => {
    const mails = mailbox.list();
    if (!views.wantsPage(req)) return void res.json({ items: mails });
    views.page(req, res, 'dev/mailbox', { mails: mails.map((mail) => rowOf(mail, base)) });
  });

  router.get('/:id', (req, res) => {
    const mail = mailOf(mailbox, req);
    if (!views.wantsPage(req)) return void res.json(mail);
    views.page(req, res, 'dev/mail', {
      mail: rowOf(mail, base),
      text: mail.text,
      links: [...new Set(mail.text.match(LINK))],
      htmlUrl: `${base}/${mail.id}/html`,
    });
  });

  router.get('/:id/html', (req, res) => {
    const mail = mailOf(mailbox, req);
    res.setHeader('Content-Security-Policy', MAIL_POLICY);
    res.type('html').send(mail.html);
  });

  router.use(http.errorHandler);
  return router;
}

const onlyThisMachine: RequestHandler = (req, _res, next) => {
  const { forwarded, via, host = '' } = req.headers;
  const isProxied =
    forwarded !== undefined || via !== undefined || Object.keys(req.headers).some(isForwardingHeader);
  const isHere = LOOPBACK_HOST.test(host) && LOOPBACK_PEER.test(req.socket.remoteAddress ?? '');
  next(isHere && !isProxied ? undefined : new AuthTunaError('not_found'));
};

function isForwardingHeader(name: string): boolean {
  return name.startsWith('x-forwarded-') || name === 'x-real-ip' || name === 'cf-connecting-ip';
}

function mailOf(mailbox: DevMailbox, req: Request): KeptMail {
  const mail = mailbox.find(String(req.params.id));
  if (mail === null) throw new AuthTunaError('not_found');
  return mail;
}

function rowOf(mail: KeptMail, base: string) {
  return { url: `${base}/${mail.id}`, to: mail.to, subject: mail.subject, at: mail.at };
}
