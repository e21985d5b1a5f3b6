/** Whether the transport said that trying again is of no use. */
export function isPermanent(error: unknown): boolean {
  return error instanceof Error && (error as { permanent?: unknown }).permanent === true;
}

const UNTRUSTED =
  'The certificate of the mail server is not trusted: give its authority to smtp() as tlsCa, or set requireTls: false where the server is on this machine.';

/** What a developer can do about an error of a transport; null where nothing is known. */
export function cureOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  return /certificate|self.signed/i.test(error.message) ? UNTRUSTED : null;
}

const MAX_SUMMARY = 200;
// Small words and enhanced status codes (RFC 3463). A transport may quote the mail in its message, and with it an address,
// a link or a code; none of these looks like such a word.
const HARMLESS_WORD = /^[("']?(?:[A-Z]?[a-z]{1,14}|[A-Z]{2,4}|[245]\.\d\.\d{1,2}|[aI])[)"'.,:;!?]*$/;

/** The subject of an error, for the log, without anything secret or personal. */
export function summaryOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const { code, responseCode, command } = error as {
    code?: unknown;
    responseCode?: unknown;
    command?: unknown;
  };
  const labels = [code, responseCode, command].filter((label) => /^[A-Z0-9_ ]{2,32}$/.test(String(label)));
  const words = error.message.split(/\s+/).filter((word) => HARMLESS_WORD.test(word));
  return [...new Set([...labels.map(String), words.join(' ')])].join(' ').slice(0, MAX_SUMMARY).trim();
}
