/** Where a provider sends people back to: a path for each provider, so that an answer meant for one is nothing for another. */
export function redirectUriOf(
  config: { baseUrl: string; paths: { auth: string } },
  provider: string,
): string {
  return `${config.baseUrl}${config.paths.auth}/social/${provider}/callback`;
}
