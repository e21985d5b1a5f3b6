import jwt from 'jsonwebtoken';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { PERSON, routes, SECRET } from './shared.js';

/** A bearer token checked by passport-jwt on every request; no database, so nothing can be revoked. */
export default function passportJwt(app) {
  const options = {
    jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
    secretOrKey: SECRET,
    algorithms: ['HS256'],
  };
  passport.use(
    new Strategy(options, (payload, done) => done(null, { id: payload.sub, email: payload.email })),
  );
  routes(app, { person: (req) => req.user, identify: passport.authenticate('jwt', { session: false }) });
  const token = jwt.sign({ email: PERSON.email }, SECRET, { subject: PERSON.id, expiresIn: '1d' });
  return { me: [{ path: '/me', headers: { Authorization: `Bearer ${token}` } }] };
}
