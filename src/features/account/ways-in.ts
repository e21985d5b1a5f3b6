/** What the account page asks other features about how the user signs in. */
export interface WaysIn {
  mfa: { status(userId: string): Promise<{ totp: boolean; recoveryCodesLeft: number }> };
  passkeys: { list(userId: string): Promise<readonly unknown[]> };
  social: {
    /** The host's providers, for buttons. */
    readonly providers: readonly { id: string; name: string }[];
    list(
      userId: string,
    ): Promise<readonly { provider: string; providerName: string; email: string | null }[]>;
    /** Where the forms that link a provider may lead. */
    authorizationOrigins(): Promise<string[]>;
  };
}
