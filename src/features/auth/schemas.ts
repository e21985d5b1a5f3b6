import { z } from 'zod';

const login = z.string().min(1).max(320);
const password = z.string().min(1).max(1024);

const email = z.string().min(1).max(320);
const token = z.string().min(1).max(128);

export const signUpBody = z.strictObject({
  email,
  username: z.string().min(1).max(128).optional(),
  password,
});

export const loginBody = z.strictObject({ login, password, rememberMe: z.boolean().optional() });

export const changePasswordBody = z.strictObject({ currentPassword: password, newPassword: password });

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
  code: z.string().min(1).max(64).optional(),
});
