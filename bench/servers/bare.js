import { bcryptLogin, PERSON, routes } from './shared.js';

/** The same Express app without any authentication: what every ratio is measured against. */
export default async function bare(app) {
  routes(app, { person: () => PERSON });
  return { me: [{ path: '/me' }], guarded: [{ path: '/projects/42' }], login: await bcryptLogin(app) };
}
