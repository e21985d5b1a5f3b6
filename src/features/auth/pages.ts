import { Router } from 'express';
import type { User } from '../../db/client.js';
import { currentUser } from '../../http/auth.js';
import type { HttpKit } from '../../http/kit.js';
import type { FormView } from '../../http/views.js';
import type { AuthManager } from './manager.js';

/** The pages of the auth router; each posts to the route of the same name. */
export interface AuthPages {
  readonly router: Router;
  readonly login: FormView;
  readonly signUp: FormView;
  readonly changePassword: FormView;
}

export function authPages<U extends User>(_auth: AuthManager<U>, http: HttpKit): AuthPages {
  const { views, config, signInMethods } = http;
  const minPasswordLength = config.password.minLength;
  views.sendTo('unauthenticated', `${config.paths.auth}/login`);
  views.sendTo('password_change_required', `${config.paths.auth}/change-password`);

  const login = views.form(
    'auth/login',
    () => ({
      methods: { ...signInMethods, rememberMe: config.session.rememberMe, signUp: config.signUp.enabled },
    }),
    { texts: { invalid_credentials: 'invalid_login' } },
  );
  const signUp = views.form('auth/signup', () => ({
    username: config.signUp.username,
    minPasswordLength,
    providers: signInMethods.providers,
  }));
  const changePassword = views.form('auth/change-password', (req) => ({
    forced: currentUser(req).mustChangePassword === true,
    minPasswordLength,
  }));

  const router = Router();
  const signedIn = http.guards.requireUser({ mustChangePassword: 'allowed', credentials: ['session'] });
  router.get('/login', login.show);
  router.get('/signup', signUp.show);
  router.get('/change-password', signedIn, changePassword.show);
  return { router, login, signUp, changePassword };
}
