import bcrypt from 'bcrypt';

// What every server under test has in common, so that only authentication differs.

export const PERSON = { id: 'c0ffee00c0ffee00c0ffee00', email: 'ada@example.com' };
export const PASSWORD = 'correct horse battery staple';
export const SECRET = 'aK3vT9wQ2mZ7xR5nB8cL4jH6gF1dS0pYeUiOqWzXcVbN';

const pass = (_req, _res, next) => next();

/** The two routes of every server: `GET /me` and `GET /projects/:projectId`. */
export function routes(app, { person, identify = pass, guard = pass }) {
  app.get('/me', identify, (req, res) => {
    const { id, email } = person(req);
    res.json({ id, email });
  });
  app.get('/projects/:projectId', guard, (req, res) => {
    res.json({ id: req.params.projectId });
  });
}

/** The Cookie header a browser would send after this response. */
export function cookieFrom(response) {
  return response.headers
    .getSetCookie()
    .map((line) => line.split(';', 1)[0])
    .join('; ');
}

/** Runs `work` for 0 … count-1, sixteen at a time, and gives the results in order. */
export async function many(count, work) {
  const results = new Array(count);
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const index = next++;
      results[index] = await work(index);
    }
  };
  await Promise.all(Array.from({ length: 16 }, lane));
  return results;
}

/** `POST /login` that does nothing but one native bcrypt comparison, as many at once as come: the limit of any login. */
export async function bcryptLogin(app) {
  const hash = await bcrypt.hash(PASSWORD, 12);
  app.post('/login', async (_req, res) => {
    res.sendStatus((await bcrypt.compare(PASSWORD, hash)) ? 204 : 401);
  });
  return [{ method: 'POST', path: '/login' }];
}
