import connectPgSimple from 'connect-pg-simple';
import session from 'express-session';
import passport from 'passport';
import pg from 'pg';
import { cookieFrom, PERSON, routes, SECRET } from './shared.js';

/**
 * express-session in memory or in PostgreSQL (`databaseUrl`).
 *
 * With `passport`, the user is read from PostgreSQL on every request, which is what `deserializeUser` is there for;
 * without, the session itself carries what `/me` shows.
 */
export default async function expressSession(app, { databaseUrl, baseUrl, passport: withPassport = false }) {
  const pool = databaseUrl && new pg.Pool({ connectionString: databaseUrl });
  const store = pool && new (connectPgSimple(session))({ pool, createTableIfMissing: true });
  app.use(
    session({
      secret: SECRET,
      resave: false,
      saveUninitialized: false,
      store,
      cookie: { maxAge: 86_400_000 },
    }),
  );

  if (withPassport) {
    await pool.query('CREATE TABLE person (id text PRIMARY KEY, email text NOT NULL)');
    await pool.query('INSERT INTO person VALUES ($1, $2)', [PERSON.id, PERSON.email]);
    passport.serializeUser((user, done) => done(null, user.id));
    passport.deserializeUser((id, done) => {
      pool
        .query('SELECT id, email FROM person WHERE id = $1', [id])
        .then(({ rows }) => done(null, rows[0] ?? false), done);
    });
    app.use(passport.session());
    app.post('/login', (req, res, next) =>
      req.login(PERSON, (error) => (error ? next(error) : res.sendStatus(204))),
    );
  } else {
    app.post('/login', (req, res) => {
      req.session.user = PERSON;
      res.sendStatus(204);
    });
  }
  const person = (req) => (withPassport ? req.user : req.session.user);
  const identify = (req, res, next) => (person(req) ? next() : res.sendStatus(401));
  routes(app, { person, identify });
  const signedIn = await fetch(`${baseUrl}/login`, { method: 'POST' });
  return { me: [{ path: '/me', cookie: cookieFrom(signedIn) }] };
}
