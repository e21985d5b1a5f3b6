import { z } from 'zod';
import { codeField, nameField } from '../../core/typed.js';

const login = nameField(320).pipe(z.string().min(1));
const password = z.string().min(1).max(1024);

const email = z.string().min(1).max(320);
const token = z.string().min(1).max(128);

/** Missing values pass: the sign-up itself tells all faults of a form at once. */
export const signUpBody = z.strictObject({
  email: z.string().max(320).default(''),
  username: nameField(128).nullish(),
  password: z.string().max(1024).default(''),
  data: z.record(z.string().max(64), z.unknown()).optional(),
});

export const loginBody = z.strictObject({ login, password, rememberMe: z.boolean().optional() });

/** An account without a password has no current one. */
export const changePasswordBody = z.strictObject({
  currentPassword: password.optional(),
  newPassword: password,
});

export const emailBody = z.strictObject({ email });

export const tokenBody = z.strictObject({ token });

export const verifyEmailBody = z.strictObject({
  token,
  password: password.optional(),
  newPassword: password.optional(),
});

export const resetPasswordBody = z.strictObject({ token, newPassword: password });

export const changeEmailBody = z.strictObject({ newEmail: email });

export const stepUpBody = z.strictObject({
  password: password.optional(),
  code: codeField().optional(),
});
