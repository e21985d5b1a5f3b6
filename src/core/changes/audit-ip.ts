import type { Config } from '../../config/config.js';
import { truncatedAddress } from '../../net/addresses.js';

/** The address of a client as the audit log keeps it, by `privacy.auditIp`. */
export function keptIp({ privacy }: Pick<Config, 'privacy'>, ip: string | null): string | null {
  if (privacy.auditIp === 'off') return null;
  return privacy.auditIp === 'truncated' ? truncatedAddress(ip) : ip;
}
