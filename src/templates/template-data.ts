// What templates are given: for each page and each mail, by the name of its file.

/** What a refused form says: `code` is an error code or a sentence, `fields` holds one of either per field. */
export interface FormProblem {
  code: string;
  fields?: Readonly<Record<string, string>>;
  /** The one field that `code` is about, which has nothing further to say. */
  field?: string;
  /** When trying again makes sense, for what was tried too often. */
  retryAfterSeconds?: number;
}

/** A text of `notices.*`, and what is filled in. */
export interface PageNotice {
  name: string;
  values: Readonly<Record<string, string>>;
}

export interface Page {
  /** One of the languages of `Templates.locales`; otherwise the default one. */
  locale?: string;
  /**
   * Set while somebody acts as another person: whose account it is, and where a form ends it. `email` is null once acting has ended by itself;
   * then the form leads back to the own session.
   */
  impersonation?: { email: string | null; action: string; csrfToken: string } | null;
  /** What was done before this page, said at its top. */
  notice?: PageNotice | null;
  /** The address of this page, to come back to after a choice of language; null offers none. */
  languageAt?: string | null;
}

export interface Form extends Page {
  csrfToken: string;
  problem?: FormProblem | null;
  /** A path that passed the redirect check; kept in a hidden field and in links between the forms. */
  returnTo?: string | null;
}

/** A field of the host's own, such as one of `signUp.fields`. */
export interface OwnField {
  /** Name and id of the input: `data.<column>`. */
  id: string;
  /** One text, or one for each language. */
  label: string | Readonly<Record<string, string>>;
  required: boolean;
  /** The `autocomplete` attribute. */
  autocomplete: string;
  /** What is stored, where the form changes it. */
  value?: string;
  /** Set for a box by which people agree to something, which can be read at `url`. */
  consent?: { url: string | null };
}

/** `id` as in the social router's path, `name` as people know it. */
export interface ProviderButton {
  id: string;
  name: string;
  /** Marked as the way that was used last. */
  isLast?: boolean;
}

/** Which routers are mounted with their pages, so that no link leads nowhere. */
export interface MountedPages {
  auth: boolean;
  account: boolean;
  mfa: boolean;
  passkeys: boolean;
  social: boolean;
  apiKeys: boolean;
  admin: boolean;
  orgs: boolean;
}

export interface PasskeyRow {
  id: string;
  name: string;
  createdAt: Date;
  lastUsedAt: Date | null;
  /** Copied between devices by its provider. */
  isSynced: boolean;
}

export interface ApiKeyRow {
  id: string;
  name: string;
  start: string;
  isUnlimited: boolean;
  grants: readonly { role: string; scope: string }[];
  allowedIps: readonly string[];
  expiresAt: Date;
  lastUsedAt: Date | null;
  exposedAt: Date | null;
}

/** `id` and `name` as of `ProviderButton`. */
export interface LinkedAccountRow extends ProviderButton {
  email: string | null;
}

export interface SessionRow {
  id: string;
  device: string | null;
  ip: string | null;
  location: string | null;
  lastActiveAt: Date;
  isCurrent: boolean;
}

export interface HistoryRow {
  at: Date;
  /** An event type that `events` has a text for. */
  type: string;
  outcome: string;
  isOwn: boolean;
  ip: string | null;
  device: string | null;
}

/** The people of an organization, a project or a team, on its page. */
export interface OrgPeople extends Form {
  /** The address of the page. */
  base: string;
  search: string;
  members: readonly {
    id: string;
    email: string;
    username: string | null;
    roles: string;
    since: Date;
    isSelf: boolean;
  }[];
  hasMore: boolean;
  invitations: readonly { id: string; email: string; role: string; expiresAt: Date }[];
  links: readonly { id: string; role: string; uses: number; maxUses: number; expiresAt: Date }[];
  /** The names of the roles that the visitor may give. */
  roles: readonly string[];
}

export interface OrgLink {
  id: string;
  slug: string;
  name: string;
}

export interface MailRow {
  url: string;
  to: string;
  subject: string;
  at: Date;
}

/** A page of the host's own in the navigation of the administration. */
export interface AdminLink {
  label: string;
  /** A path of this site. */
  path: string;
}

/** What every page of the administration shows around its contents. */
export interface AdminFrame {
  path: string;
  /** The own account. */
  account: string;
  links: readonly AdminLink[];
  /** What the person may do, for what is shown; the routes decide again. */
  can: {
    users: boolean;
    manageUsers: boolean;
    impersonate: boolean;
    roles: boolean;
    manageRoles: boolean;
    permissions: boolean;
    managePermissions: boolean;
    sessions: boolean;
    audit: boolean;
    webhooks: boolean;
    orgs: boolean;
    createOrgs: boolean;
    manageOrgs: boolean;
    deleteOrgs: boolean;
    apiKeys: boolean;
  };
  /** A confirmation of `admin.done` of the texts. */
  done: string | null;
}

interface Admin extends Form {
  admin: AdminFrame;
}

interface AdminUserRow {
  id: string;
  email: string;
  username: string | null;
  emailVerifiedAt: Date | null;
  suspendedAt: Date | null;
  suspendedUntil: Date | null;
  suspendedReason: string | null;
  deletedAt: Date | null;
  mustChangePassword: boolean;
  createdAt: Date;
  lastLoginAt: Date | null;
  roles: readonly string[];
}

interface AdminWebhookRow {
  id: string;
  url: string;
  events: readonly string[] | '*';
  createdAt: Date;
  previousSecretUntil: Date | null;
  failingSince: Date | null;
  disabledAt: Date | null;
  disabledReason: string | null;
}

interface AdminOrgRow {
  id: string;
  slug: string;
  name: string;
  policy: {
    requireSecondFactor: boolean;
    sessionMaxSeconds: number | null;
    allowedEmailDomains: readonly string[];
    joinByDomain: boolean;
  };
  createdAt: Date;
}

interface AdminKeyRow {
  id: string;
  userId: string;
  name: string;
  kind: string;
  start: string;
  /** Null for everything that its owner may do. */
  grants: readonly { role: string; scope: string }[] | null;
  createdAt: Date;
  expiresAt: Date | null;
  lastUsedAt: Date | null;
  revokedAt: Date | null;
  exposedAt: Date | null;
  isOver: boolean;
}

interface AdminServiceAccountRow {
  id: string;
  orgId: string;
  orgName: string | null;
  name: string;
  createdAt: Date;
  suspendedAt: Date | null;
}

interface AdminSessionRow {
  id: string;
  userId: string;
  device: string | null;
  ip: string | null;
  country: string | null;
  createdAt: Date;
  lastSeenAt: Date;
  impersonatorId: string | null;
}

interface AdminEntryRow {
  id: string;
  at: Date;
  type: string;
  outcome: string;
  reason: string | null;
  actorId: string | null;
  impersonatorId: string | null;
  targetType: string | null;
  targetId: string | null;
  scope: string | null;
  ip: string | null;
}

interface AdminRole {
  name: string;
  description: string | null;
  level: number | null;
  permissions: readonly string[];
  includes: readonly string[];
  at: readonly string[];
  mayAssign: readonly string[];
  origin: string;
}

/** The texts of the `message` page. */
export type MessageName =
  | 'email_verified'
  | 'reset_requested'
  | 'password_changed'
  | 'email_change_requested'
  | 'email_changed'
  | 'email_change_undone'
  | 'account_unlocked'
  | 'email_confirmed_already'
  | 'link_overtaken';

/** The data of each page, by the name of its file in `templates/pages`. */
export interface PageData {
  'auth/login': Form & {
    values?: { login?: string; rememberMe?: boolean };
    /** What the first field is called: without usernames people sign in with their address. */
    loginField: 'login' | 'email';
    /** The way by which somebody signed in last in this browser: `password`, `passkey`, `email` or `provider.<id>`. */
    lastUsed: string | null;
    methods: {
      rememberMe: boolean;
      signUp: boolean;
      magicLink: boolean;
      emailCode: boolean;
      passkeys: boolean;
      providers: readonly ProviderButton[];
      /** Folded below the others. */
      moreProviders: readonly ProviderButton[];
      organizations: boolean;
    };
  };
  'auth/signup': Form & {
    values?: { email?: string; username?: string };
    username: 'required' | 'optional' | 'off';
    fields: readonly OwnField[];
    minPasswordLength: number;
    providers: readonly ProviderButton[];
  };
  /** What a person who signs up by a link or a provider is still asked for, before the account exists. */
  'auth/complete': Form & {
    values?: { username?: string };
    /** Where the form posts to, below the path of the auth router. */
    action: string;
    email: string;
    /** The name of the provider; null after a link. */
    provider: string | null;
    needsCode: boolean;
    username: 'required' | 'optional' | 'off';
    fields: readonly OwnField[];
  };
  'auth/forgot-password': Form & { values?: { email?: string } };
  'auth/reset-password': Form & { email: string | null; minPasswordLength: number };
  'auth/verify-email': Form &
    (
      | {
          state: 'waiting';
          email: string | null;
          /** A message was sent to the address; was asked for again, if it needs one; is held back. */
          mail: 'sent' | 'again' | 'held';
        }
      | {
          state: 'confirm';
          email: string;
          username: string | null;
          createdAt: Date;
          hasPassword: boolean;
          /** Nothing shows that this is the person who signed up: asks for the password, or for a new one. */
          needsProof: boolean;
          minPasswordLength: number;
        }
    );
  'auth/unlock': Form & { email: string | null };
  'auth/confirm-email-change': Form & { newEmail: string };
  'auth/undo-email-change': Form & { oldEmail: string };
  'auth/change-password': Form & {
    forced: boolean;
    /** Without a password there is none to ask for: the first one is set. */
    hasPassword: boolean;
    /** For password managers. */
    email: string;
    minPasswordLength: number;
    /** Null where the change is demanded. */
    accountUrl: string | null;
  };
  'auth/change-email': Form & { values?: { newEmail?: string }; email: string; accountUrl: string | null };
  'auth/step-up': Form & {
    /** For password managers; null while the session waits for its step-up. */
    email: string | null;
    /** Null while the session waits, as well. */
    accountUrl: string | null;
    methods: {
      password: boolean;
      code: boolean;
      /** What the field is called: without an app only recovery codes are left. */
      codeField: 'totp' | 'recoveryCode';
      passkeys: boolean;
    };
    /** Ways to sign in afresh, for a person who has none of these. */
    afresh: { providers: readonly ProviderButton[]; magicLink: boolean; emailCode: boolean };
  };
  'passwordless/request': Form & {
    kind: 'link' | 'code';
    /** A link and a code can be asked for. */
    hasOther: boolean;
    values?: { email?: string };
  };
  'passwordless/sent': Page & { email: string; code: string | null; returnTo: string | null };
  'passwordless/confirm': Form & { email: string; needsCode: boolean; rememberMe: boolean };
  'passwordless/code': Form & { email: string; rememberMe: boolean };
  'mfa/begin': Form & { passkeys: boolean };
  'mfa/cancel-reset': Form;
  'mfa/setup': Form & { qrCode: string; secret: string; otpauthUrl: string };
  'mfa/challenge': Form & {
    factors: readonly ('totp' | 'recovery_code' | 'passkey')[];
    /** Whether the form for recovery codes is open from the start. */
    triesRecovery: boolean;
  };
  'mfa/recovery-codes': Page & { codes: readonly string[]; continueUrl: string };
  'mfa/manage': Form & {
    mounted: MountedPages;
    totp: boolean;
    factors: readonly string[];
    recoveryCodesLeft: number;
    trustedDevices: readonly { id: string; device: string | null; expiresAt: Date }[];
    resetAt: Date | null;
  };
  'passkeys/list': Form & {
    mounted: MountedPages;
    passkeys: readonly PasskeyRow[];
    /** A passkey is asked for after a password. */
    isSecondFactor: boolean;
  };
  'api-keys/list': Form & {
    values?: { name?: string };
    mounted: MountedPages;
    keys: readonly ApiKeyRow[];
    assignments: readonly { role: string; scope: string }[];
  };
  'api-keys/issued': Page & {
    name: string;
    key: string;
    expiresAt: Date;
    /** How long the key before works on; null where there is none. */
    previousUntil: Date | null;
    continueUrl: string;
  };
  'account/security': Form & {
    mounted: MountedPages;
    email: string;
    emailVerified: boolean;
    hasPassword: boolean;
    passwordChangedAt: Date | null;
    totp: boolean;
    recoveryCodesLeft: number;
    passkeyCount: number;
    /** There is a passkey, and it is asked for after a password. */
    isPasskeyAsked: boolean;
    linkedAccounts: readonly LinkedAccountRow[];
    providers: readonly ProviderButton[];
    sessions: readonly SessionRow[];
  };
  'account/history': Form & { mounted: MountedPages; entries: readonly HistoryRow[]; nextUrl: string | null };
  'account/data': Form & {
    mounted: MountedPages;
    deletionAt: Date | null;
    graceDays: number;
    consents: readonly {
      purpose: string;
      /** One text, or one for each language. */
      label: string | Readonly<Record<string, string>>;
      url: string | null;
      required: boolean;
      /** Null where it was not given, or was taken back. */
      givenAt: Date | null;
      /** There is a newer version. */
      isOld: boolean;
    }[];
  };
  'admin/overview': Admin & {
    stats: { users: number; suspended: number; liveSessions: number };
    charts: readonly {
      name: string;
      total: number;
      width: number;
      bars: readonly { day: string; count: number; x: number; y: number; height: number }[];
    }[];
  };
  'admin/users': Admin & {
    users: readonly AdminUserRow[];
    query: { search?: string; role?: string; scope?: string; status?: string };
    columns: readonly string[];
    nextUrl: string | null;
  };
  'admin/user-new': Admin & { values: { email?: string; username?: string; emailVerified?: boolean } };
  'admin/user': Admin & {
    user: AdminUserRow;
    isSelf: boolean;
    mayManage: boolean;
    columns: readonly string[];
    assignments: readonly { role: string; scope: string; expiresAt: Date | null }[];
    assignable: readonly string[];
    factors: readonly string[];
    resetAt: Date | null;
    sessions: readonly AdminSessionRow[];
    entries: readonly AdminEntryRow[];
  };
  'admin/bulk': Admin & {
    /** What the form holds. */
    values?: Readonly<Record<string, unknown>>;
    action: string;
    affected: readonly AdminUserRow[];
    refused: readonly { id: string; email: string | null; code: string }[];
    /** How many it was done to; null while it is only shown. */
    done: number | null;
  };
  'admin/roles': Admin & {
    roles: readonly AdminRole[];
    matrix: readonly { name: string; cells: readonly { name: string; may: boolean }[] }[];
    values: Readonly<Record<string, string>>;
  };
  'admin/role': Admin & {
    role: AdminRole;
    others: readonly string[];
    holders: readonly { id: string; email: string }[];
  };
  'admin/permissions': Admin & {
    permissions: readonly { name: string; description: string | null; tool: string | null }[];
    nextUrl: string | null;
    values: Readonly<Record<string, string>>;
  };
  'admin/scopes': Admin & {
    parent: string;
    above: readonly string[];
    scopes: readonly { id: string; name: string | null; ownerId: string | null }[];
    nextUrl: string | null;
    values: Readonly<Record<string, string>>;
  };
  'admin/why': Admin & {
    values: { user: string; permission: string; scope: string };
    email: string | null;
    answer: {
      allowed: boolean;
      reason: string;
      chain: readonly string[];
      grants: readonly { role: string; scope: string; through: string }[];
    } | null;
  };
  'admin/sessions': Admin & {
    sessions: readonly (AdminSessionRow & { email: string })[];
    nextUrl: string | null;
  };
  'admin/orgs': Admin & {
    /** What the form holds. */
    values?: Readonly<Record<string, unknown>>;
    orgs: readonly AdminOrgRow[];
    search: string;
    nextUrl: string | null;
  };
  'admin/org': Admin & {
    /** What the form holds. */
    values?: Readonly<Record<string, unknown>>;
    org: AdminOrgRow;
    members: readonly {
      user: { id: string; email: string; username: string | null };
      roles: readonly string[];
      since: Date;
    }[];
    nextUrl: string | null;
  };
  'admin/api-keys': Admin & {
    keys: readonly (AdminKeyRow & {
      owner: { id: string; kind: string; email: string; name: string | null } | null;
    })[];
    user: string;
    nextUrl: string | null;
  };
  'admin/service-accounts': Admin & {
    /** What the form holds. */
    values?: Readonly<Record<string, unknown>>;
    accounts: readonly AdminServiceAccountRow[];
    org: string;
    nextUrl: string | null;
  };
  'admin/service-account': Admin & {
    /** What the form holds. */
    values?: Readonly<Record<string, unknown>>;
    account: AdminServiceAccountRow;
    keys: readonly AdminKeyRow[];
    assignments: readonly { role: string; scope: string; expiresAt: Date | null }[];
    nextUrl: string | null;
  };
  'admin/api-key': Admin & {
    account: string;
    name: string;
    key: string;
    expiresAt: Date | null;
    continueUrl: string;
  };
  'admin/mails': Admin & {
    mails: readonly {
      id: string;
      template: string;
      to: string | null;
      createdAt: Date;
      sentAt: Date | null;
      deadAt: Date | null;
      attempts: number;
      lastError: string | null;
    }[];
    status: 'waiting' | 'dead' | 'sent';
    nextUrl: string | null;
  };
  'admin/jobs': Admin & {
    jobs: readonly {
      name: string;
      everySeconds: number;
      isRunning: boolean;
      lastRunAt: Date | null;
      lastNote: string | null;
    }[];
    database: string;
    broadcast: string;
  };
  'admin/webhooks': Admin & {
    /** What the form holds. */
    values?: Readonly<Record<string, unknown>>;
    webhooks: readonly AdminWebhookRow[];
    nextUrl: string | null;
  };
  'admin/webhook': Admin & {
    /** What the form holds. */
    values?: Readonly<Record<string, unknown>>;
    webhook: AdminWebhookRow;
    deliveries: readonly {
      id: string;
      webhookId: string;
      type: string;
      body: string;
      status: 'waiting' | 'delivered' | 'dead';
      createdAt: Date;
      attempts: number;
      lastStatus: number | null;
      lastError: string | null;
    }[];
    status: 'waiting' | 'delivered' | 'dead' | null;
    nextUrl: string | null;
  };
  'admin/webhook-secret': Admin & {
    url: string;
    secret: string;
    /** How long the secret before works on; null where there is none. */
    previousUntil: Date | null;
    continueUrl: string;
  };
  'admin/throttles': Admin & {
    waits: readonly { id: string; failures: number; consecutive: number; blockedUntil: Date; seenAt: Date }[];
    nextUrl: string | null;
  };
  'admin/audit': Admin & {
    entries: readonly (AdminEntryRow & { data: string | null })[];
    values: Readonly<Record<string, string>>;
    /** The filter as a query. */
    query: string;
    nextUrl: string | null;
  };
  'orgs/list': Form & {
    mounted: MountedPages;
    organizations: readonly OrgLink[];
    joinable: readonly OrgLink[];
    mayFound: boolean;
    /** Of the form that founds an organization. */
    fields: readonly OwnField[];
    nextCursor: string | null;
    values?: { name?: string };
  };
  'orgs/organization': OrgPeople & {
    mounted: MountedPages;
    organization: OrgLink;
    scope: string;
    fields: readonly OwnField[];
    /** Of the form that makes a project. */
    projectFields: readonly OwnField[];
    projects: readonly { id: string; name: string }[];
    teams: readonly { id: string; name: string }[];
    may: {
      manage: boolean;
      delete: boolean;
      invite: boolean;
      remove: boolean;
      leave: boolean;
      addProject: boolean;
      addTeam: boolean;
    };
    values?: { email?: string; name?: string };
  };
  'orgs/place': OrgPeople & {
    mounted: MountedPages;
    organization: OrgLink;
    kind: 'project' | 'team';
    name: string;
    fields: readonly OwnField[];
    teams: readonly { id: string; name: string }[];
    may: { manage: boolean; delete: boolean; invite: boolean; remove: boolean; leave: boolean };
    values?: { email?: string; name?: string };
  };
  'orgs/link': Page & { url: string; role: string; maxUses: number; expiresAt: Date; continueUrl: string };
  'orgs/accept': Form & {
    organization: string;
    role: string;
    /** Masked; null for a link, which is for every account. */
    email: string | null;
    state: 'accept' | 'sign_up' | 'sign_in' | 'other_account';
    signInUrl: string | null;
    values?: { username?: string };
    username: 'required' | 'optional' | 'off';
    fields: readonly OwnField[];
    minPasswordLength: number;
  };
  'sso/list': Form & {
    mounted: MountedPages;
    /** The address of the page, without its query. */
    path: string;
    scope: string;
    /** `url` is null where the organization has no page. */
    organization: { name: string; url: string | null };
    connections: readonly {
      id: string;
      name: string;
      issuer: string;
      /** The proved ones. */
      domains: readonly string[];
      /** People of one of its domains sign in here and nowhere else. */
      isRequired: boolean;
    }[];
    values?: { name?: string; issuer?: string; clientId?: string; linkVerifiedEmails?: boolean };
  };
  'sso/connection': Form & {
    mounted: MountedPages;
    /** The address of the page. */
    base: string;
    listUrl: string;
    organization: { name: string; url: string | null };
    /** What to register at the provider. */
    redirectUri: string;
    connection: {
      name: string;
      issuer: string;
      clientId: string;
      rolesClaim: string | null;
      linkVerifiedEmails: boolean;
    };
    mapping: readonly { value: string; role: string }[];
    /** Roles that this person may map a value to. */
    roles: readonly string[];
    domains: readonly {
      domain: string;
      verifiedAt: Date | null;
      isRequired: boolean;
      record: { name: string; value: string };
    }[];
    values?: { domain?: string; claim?: string; value?: string; role?: string };
  };
  'device/enter': Form & { values?: { user_code?: string } };
  'device/confirm': Form & {
    userCode: string;
    /** The name that the tool gives itself. */
    clientId: string;
    /** Permissions that it asks for; null for all. */
    scopes: readonly string[] | null;
    ip: string | null;
    device: string | null;
    requestedAt: Date;
    expiresAt: Date;
    /** Of the account for which the tool would act. */
    email: string;
  };
  'device/done': Page & { isApproved: boolean; accountUrl: string | null };
  'social/organization': Omit<Form, 'csrfToken'> & { values?: { email?: string } };
  'social/continue': Page & { kind: 'found' | 'demanded'; name: string; continueUrl: string };
  message: Page & {
    message: MessageName;
    isSignedIn: boolean;
    continueUrl: string | null;
    /** The button leads to the sign-in page, and says so. */
    leadsToSignIn: boolean;
    returnTo: string | null;
  };
  error: Page & {
    code: string;
    status: number;
    requestId?: string | null;
    retryAfterSeconds?: number | null;
    /** Where the button leads, where the refusal knows. */
    continueUrl: string | null;
    signInUrl: string;
    /** The address to try again; null for what cannot be repeated by opening it. */
    retryUrl: string | null;
  };
  'error-type': Page & { code: string; status: number };
  'dev/mailbox': Page & { mails: readonly MailRow[] };
  'dev/mail': Page & { mail: MailRow; text: string; links: readonly string[]; htmlUrl: string | null };
}
export type PageName = keyof PageData;
