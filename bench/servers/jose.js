import { jwtVerify, SignJWT } from 'jose';
import { bcryptLogin, PERSON, routes, SECRET } from './shared.js';

const key = new TextEncoder().encode(SECRET);

/** A signed cookie checked by jose on every request; no database, so nothing can be revoked. */
export default async function joseCookie(app) {
  const token = await new SignJWT({ email: PERSON.email })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(PERSON.id)
    .setExpirationTime('1d')
    .sign(key);
  const login = await bcryptLogin(app);
  app.use(async (req, res, next) => {
    const cookie = /(?:^|; )session=([^;]+)/.exec(req.headers.cookie ?? '')?.[1];
    if (cookie === undefined) return res.sendStatus(401);
    const { payload } = await jwtVerify(cookie, key, { algorithms: ['HS256'] });
    req.user = { id: payload.sub, email: payload.email };
    next();
  });
  routes(app, { person: (req) => req.user });
  return { me: [{ path: '/me', cookie: `session=${token}` }], login };
}
