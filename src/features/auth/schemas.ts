import { z } from 'zod';

const login = z.string().min(1).max(320);
const password = z.string().min(1).max(1024);

export const signUpBody = z.strictObject({
  email: z.string().min(1).max(320),
  username: z.string().min(1).max(128).optional(),
  password,
});

export const loginBody = z.strictObject({ login, password, rememberMe: z.boolean().optional() });

export const changePasswordBody = z.strictObject({ currentPassword: password, newPassword: password });
