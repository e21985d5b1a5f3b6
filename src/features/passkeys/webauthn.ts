export type WebAuthn = typeof import('@simplewebauthn/server') &
  typeof import('@simplewebauthn/server/helpers');

/**
 * Loads the package that makes options and verifies responses, once, when the first ceremony asks for it. Loading it with its certificates takes
 * a third of the time of loading this library, and an app without passkeys never needs it.
 */
export async function loadWebAuthn(): Promise<WebAuthn> {
  const [server, helpers] = await Promise.all([
    import('@simplewebauthn/server'),
    import('@simplewebauthn/server/helpers'),
  ]);
  return { ...server, ...helpers };
}
