// What pages and mails look like with real people's data, and with the data of people who mean harm.

export const HOSTILE = '<img src=x onerror=alert(1)>"><script>alert(1)</script>{{constructor}}\';alert(1)//';

const day = 86_400_000;
const now = Date.parse('2026-03-14T09:26:00Z');
const at = (days) => new Date(now - days * day);
const csrfToken = 'b3f1c2a7d9.4e5f60718293a4b5c6d7e8f9';
const form = { csrfToken, returnTo: '/projects/42?tab=files' };
const unconfirmed = {
  state: 'confirm',
  email: 'a***@example.com',
  username: 'ada',
  createdAt: at(0),
  hasPassword: true,
  needsProof: true,
  minPasswordLength: 15,
};
const providers = [
  { id: 'google', name: 'Google' },
  { id: 'github', name: 'GitHub' },
  { id: 'microsoft', name: 'Microsoft' },
  { id: 'acme-sso', name: 'Acme SSO' },
];
const methods = {
  rememberMe: true,
  signUp: true,
  magicLink: true,
  emailCode: true,
  passkeys: true,
  organizations: true,
  providers: providers.slice(0, 2),
};
const qrCode = `data:image/svg+xml;base64,${Buffer.from(qrLookalike()).toString('base64')}`;
const ownFields = [
  {
    id: 'data.displayName',
    label: { en: 'Display name', de: 'Anzeigename' },
    required: true,
    autocomplete: 'name',
  },
  { id: 'data.company', label: 'Company', required: false, autocomplete: 'organization' },
];
const done = { isSignedIn: false, continueUrl: null, leadsToSignIn: false, returnTo: null };
const wayOn = { continueUrl: null, signInUrl: '/auth/login', retryUrl: null };
const passkeys = [
  { id: 'pk_1', name: 'Ada’s MacBook', createdAt: at(210), lastUsedAt: at(1), isSynced: true },
  { id: 'pk_2', name: 'YubiKey 5C', createdAt: at(40), lastUsedAt: null, isSynced: false },
];
const assignments = [
  { role: 'user', scope: 'global' },
  { role: 'editor', scope: 'project:42' },
];
const asking = {
  userCode: 'WDJB-MJHT',
  clientId: 'acme-cli',
  scopes: ['project:read', 'post:*'],
  ip: '203.0.113.7',
  device: 'curl/8.5.0',
  requestedAt: new Date('2030-01-01T11:58:00Z'),
  expiresAt: new Date('2030-01-01T12:13:00Z'),
  email: 'ada@example.com',
};
const apiKeys = [
  {
    id: 'Hk3vQ9xW1mB7',
    name: 'Backup script',
    start: 'at_live_Hk3vQ9xW1mB7',
    isUnlimited: false,
    grants: [{ role: 'editor', scope: 'project:42' }],
    allowedIps: ['203.0.113.0/24'],
    expiresAt: at(-80),
    lastUsedAt: at(1),
    exposedAt: null,
  },
  {
    id: 'Zp8nR4cJ2hL6',
    name: 'Old laptop',
    start: 'at_live_Zp8nR4cJ2hL6',
    isUnlimited: true,
    grants: [],
    allowedIps: [],
    expiresAt: at(-3),
    lastUsedAt: null,
    exposedAt: at(2),
  },
];
const issuedKey = {
  name: 'Backup script',
  key: 'at_live_Hk3vQ9xW1mB7_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3aB4cD_1q2W3e',
  expiresAt: at(-90),
  previousUntil: null,
  continueUrl: '/auth/api-keys/manage',
};
const sessions = [
  {
    id: 's1',
    device: 'Firefox on Linux',
    ip: '203.0.113.24',
    location: 'Vienna, Austria',
    lastActiveAt: at(0),
    isCurrent: true,
  },
  {
    id: 's2',
    device: 'Safari on iPhone',
    ip: '2001:db8:4f2a:11:8c1d:77ff:fe02:9',
    location: null,
    lastActiveAt: at(2),
    isCurrent: false,
  },
];
const mounted = {
  auth: true,
  account: true,
  mfa: true,
  passkeys: true,
  social: true,
  apiKeys: true,
  admin: true,
  orgs: true,
};

const invited = {
  csrfToken: 'token',
  organization: 'Acme',
  role: 'org_member',
  email: 'a***@e***.com',
  signInUrl: '/auth/login',
  signUpUrl: '/auth/signup',
};

const organization = {
  csrfToken: 'token',
  mounted,
  organization: { id: '1', slug: 'acme', name: 'Acme' },
  search: '',
  members: [
    {
      id: '1',
      email: 'olive@example.com',
      username: 'olive',
      roles: 'org_owner',
      since: new Date('2030-01-01T12:00:00Z'),
      isSelf: true,
    },
    {
      id: '2',
      email: 'mia@example.com',
      username: null,
      roles: 'org_member',
      since: new Date('2030-01-02T12:00:00Z'),
      isSelf: false,
    },
  ],
  hasMore: true,
  invitations: [
    { id: '3', email: 'new@example.com', role: 'org_member', expiresAt: new Date('2030-01-08T12:00:00Z') },
  ],
  links: [{ id: '6', role: 'org_member', uses: 1, maxUses: 10, expiresAt: new Date('2030-01-08T12:00:00Z') }],
  projects: [{ id: '4', name: 'Sardine' }],
  teams: [{ id: '5', name: 'Blue' }],
  roles: ['org_admin', 'org_member'],
  may: { manage: true, delete: true, invite: true, remove: true, addProject: true, addTeam: true },
};
const frame = {
  path: '/admin',
  account: '/account/security',
  links: [{ label: 'Billing', path: '/billing' }],
  can: {
    users: true,
    manageUsers: true,
    impersonate: true,
    roles: true,
    manageRoles: true,
    permissions: true,
    managePermissions: true,
    sessions: true,
    audit: true,
    webhooks: true,
    orgs: true,
    createOrgs: true,
    manageOrgs: true,
    deleteOrgs: true,
    apiKeys: true,
  },
  done: null,
};
const admin = { ...form, admin: frame };
const person = {
  id: 'dXNlcl8xMjM0NTY3ODkwMTI',
  email: 'ada@example.com',
  username: 'ada',
  emailVerifiedAt: at(200),
  suspendedAt: null,
  suspendedUntil: null,
  suspendedReason: null,
  deletedAt: null,
  mustChangePassword: false,
  createdAt: at(200),
  lastLoginAt: at(1),
  roles: ['admin', 'user'],
};
const odd = {
  ...person,
  id: HOSTILE,
  email: HOSTILE,
  username: HOSTILE,
  suspendedAt: at(1),
  suspendedUntil: at(-3),
  suspendedReason: HOSTILE,
  mustChangePassword: true,
  lastLoginAt: null,
  roles: [HOSTILE],
};
const webhook = {
  id: 'w1',
  url: 'https://hooks.acme.example/authtuna',
  events: '*',
  createdAt: at(30),
  previousSecretUntil: null,
  failingSince: null,
  disabledAt: null,
  disabledReason: null,
};
const adminOrg = {
  id: 'bxCh3mKq0vT9wLpZ',
  slug: 'acme',
  name: 'Acme',
  policy: {
    requireSecondFactor: false,
    joinByDomain: false,
    sessionMaxSeconds: null,
    allowedEmailDomains: [],
  },
  createdAt: at(90),
};
const adminKey = {
  id: 'Zk3vQ9xW1mB7',
  userId: 'u1',
  name: 'deploy',
  kind: 'secret',
  start: 'at_live_Zk3v',
  grants: null,
  createdAt: at(30),
  expiresAt: at(-60),
  lastUsedAt: at(1),
  revokedAt: null,
  exposedAt: null,
  isOver: false,
};
const serviceAccount = {
  id: 's1',
  orgId: 'bxCh3mKq0vT9wLpZ',
  orgName: 'Acme',
  name: 'ci',
  createdAt: at(20),
  suspendedAt: null,
};
const delivery = {
  id: 'd1',
  webhookId: 'w1',
  type: 'role.assigned',
  body: '{"type":"role.assigned","timestamp":"2030-01-01T12:00:00.000Z","data":{"outcome":"success"}}',
  status: 'delivered',
  createdAt: at(1),
  attempts: 1,
  lastStatus: 204,
  lastError: null,
};
const adminSession = {
  id: 's1',
  userId: person.id,
  email: person.email,
  device: 'Firefox on Linux',
  ip: '203.0.113.24',
  country: 'AT',
  createdAt: at(2),
  lastSeenAt: at(0),
  impersonatorId: null,
};
const entry = {
  id: 'e1',
  at: at(0),
  type: 'user.signed_in',
  outcome: 'success',
  reason: null,
  actorId: null,
  impersonatorId: null,
  targetType: 'user',
  targetId: person.id,
  scope: null,
  ip: '203.0.113.24',
  data: null,
};
const oddEntry = {
  ...entry,
  type: HOSTILE,
  outcome: 'denied',
  reason: HOSTILE,
  actorId: HOSTILE,
  impersonatorId: HOSTILE,
  targetType: HOSTILE,
  targetId: HOSTILE,
  scope: HOSTILE,
  ip: HOSTILE,
  data: HOSTILE,
};
const role = {
  name: 'admin',
  description: 'Runs the installation.',
  level: 90,
  permissions: ['admin:access', 'users:*', 'roles:read'],
  includes: [],
  at: ['global'],
  mayAssign: ['moderator', 'user'],
  origin: 'shipped',
};
const oddRole = {
  ...role,
  name: 'odd',
  description: HOSTILE,
  level: null,
  at: [],
  includes: ['user'],
  origin: 'database',
};
const bars = Array.from({ length: 14 }, (_, n) => {
  const height = (n * 17) % 60;
  return {
    day: `2026-03-${String(n + 1).padStart(2, '0')}`,
    count: height,
    x: n * 10,
    y: 60 - height,
    height,
  };
});
const personPage = {
  ...admin,
  user: person,
  isSelf: false,
  mayManage: true,
  columns: [],
  assignments: [
    { role: 'admin', scope: 'global', expiresAt: null },
    { role: 'org_member', scope: 'org:acme', expiresAt: at(-30) },
  ],
  assignable: ['user', 'moderator'],
  factors: ['totp'],
  resetAt: null,
  sessions: [adminSession],
  entries: [entry],
};
const factors = {
  mounted,
  totp: true,
  factors: ['totp', 'recovery_code'],
  recoveryCodesLeft: 7,
  trustedDevices: [
    { id: 't1', device: 'Firefox on Linux', expiresAt: at(-29) },
    { id: 't2', device: null, expiresAt: at(-3) },
  ],
  resetAt: at(-2),
};
const security = {
  ...form,
  mounted,
  email: 'ada@example.com',
  emailVerified: true,
  hasPassword: true,
  passwordChangedAt: at(80),
  totp: true,
  recoveryCodesLeft: 7,
  passkeyCount: 2,
  isPasskeyAsked: true,
  linkedAccounts: [{ ...providers[0], email: 'ada@example.com' }],
  providers: providers.slice(1, 2),
  sessions,
};
const mail = {
  url: '/auth/dev/mailbox/1',
  to: 'ada@example.com',
  subject: 'Confirm your email address',
  at: at(0),
};

/** name, variant (for the file's name) and data of every page in every state worth looking at. */
export const pageSamples = [
  page('auth/login', 'full', { ...form, loginField: 'login', methods }),
  page('auth/login', 'plain', {
    ...form,
    loginField: 'login',
    methods: {
      rememberMe: false,
      signUp: false,
      magicLink: false,
      emailCode: false,
      passkeys: false,
      providers: [],
      organizations: false,
    },
  }),
  page('auth/login', 'refused', {
    ...form,
    loginField: 'login',
    methods,
    values: { login: 'ada@example.com', rememberMe: true },
    problem: { code: 'invalid_login' },
  }),
  page('auth/login', 'hostile', {
    ...form,
    loginField: 'login',
    methods: { ...methods, providers: [{ id: '"><script>', name: HOSTILE }] },
    returnTo: `/${HOSTILE}`,
    values: { login: HOSTILE },
    problem: { code: HOSTILE, fields: { login: HOSTILE } },
  }),
  page('auth/login', 'deutsch', {
    ...form,
    loginField: 'login',
    locale: 'de',
    methods,
    problem: { code: 'invalid_login' },
  }),
  page('auth/signup', 'full', {
    ...form,
    username: 'optional',
    fields: [],
    minPasswordLength: 15,
    providers,
  }),
  page('auth/signup', 'own-fields', {
    ...form,
    username: 'off',
    fields: ownFields,
    minPasswordLength: 15,
    providers: [],
    values: { email: 'ada@example.com' },
    problem: { code: 'invalid_input', fields: { 'data.displayName': 'required' } },
  }),
  page('auth/signup', 'refused', {
    ...form,
    username: 'required',
    fields: [],
    minPasswordLength: 15,
    providers: [],
    values: { email: 'ada@example', username: 'ada' },
    problem: {
      code: 'invalid_input',
      fields: { email: 'invalid_email', username: 'username_taken', password: 'password_breached' },
    },
  }),
  page('auth/complete', 'provider', {
    ...form,
    action: '/social/sign-up',
    email: 'ada@example.com',
    provider: 'Google',
    needsCode: false,
    username: 'required',
    fields: ownFields,
  }),
  page('auth/complete', 'link-refused', {
    ...form,
    action: '/passwordless/link/consume',
    email: 'a***@e***.com',
    provider: null,
    needsCode: true,
    username: 'optional',
    fields: ownFields,
    values: { username: 'ada' },
    problem: {
      code: 'invalid_input',
      fields: { username: 'username_taken', 'data.displayName': 'required', code: 'invalid_code' },
    },
  }),
  page('auth/forgot-password', 'plain', { ...form }),
  page('auth/reset-password', 'plain', { ...form, email: 'a•••@example.com', minPasswordLength: 15 }),
  page('auth/reset-password', 'refused', {
    ...form,
    email: null,
    minPasswordLength: 8,
    problem: { code: 'weak_password', fields: { newPassword: 'password_contains_context' } },
  }),
  page('auth/verify-email', 'confirm', { ...form, ...unconfirmed, needsProof: false }),
  page('auth/verify-email', 'elsewhere', { ...form, ...unconfirmed }),
  page('auth/verify-email', 'elsewhere-refused', {
    ...form,
    ...unconfirmed,
    problem: { code: 'weak_password', fields: { newPassword: 'password_too_short' } },
  }),
  page('auth/verify-email', 'elsewhere-passkey', {
    ...form,
    ...unconfirmed,
    username: null,
    hasPassword: false,
  }),
  page('auth/verify-email', 'waiting', {
    ...form,
    state: 'waiting',
    email: 'ada.with.a.very.long.mailbox.name@subdomain.example-company.com',
  }),
  page('auth/verify-email', 'unknown', {
    ...form,
    state: 'waiting',
    email: null,
    problem: { code: 'invalid_token' },
  }),
  page('auth/unlock', 'plain', { ...form, email: 'a•••@example.com' }),
  page('auth/confirm-email-change', 'plain', { ...form, newEmail: 'ada@lovelace.example' }),
  page('auth/undo-email-change', 'plain', { ...form, oldEmail: 'ada@example.com' }),
  page('auth/change-email', 'plain', { ...form, email: 'ada@example.com', accountUrl: '/account/security' }),
  page('auth/change-email', 'refused', {
    ...form,
    email: 'ada@example.com',
    accountUrl: null,
    values: { newEmail: 'nobody' },
    problem: { code: 'invalid_input', fields: { newEmail: 'invalid_email' } },
  }),
  page('auth/change-password', 'plain', {
    ...form,
    hasPassword: true,
    email: 'ada@example.com',
    forced: false,
    minPasswordLength: 15,
  }),
  page('auth/change-password', 'forced', {
    ...form,
    hasPassword: true,
    email: 'ada@example.com',
    forced: true,
    minPasswordLength: 15,
    problem: { code: 'invalid_input', fields: { currentPassword: 'invalid_credentials' } },
  }),
  page('auth/change-password', 'first', {
    ...form,
    hasPassword: false,
    email: 'ada@example.com',
    forced: false,
    minPasswordLength: 15,
  }),
  page('auth/step-up', 'all', {
    ...form,
    email: 'ada@example.com',
    methods: { password: true, code: true, codeField: 'totp', passkeys: true },
    afresh: { providers: [], magicLink: false, emailCode: false },
  }),
  page('auth/step-up', 'passkey', {
    ...form,
    email: 'ada@example.com',
    methods: { password: false, code: false, codeField: 'totp', passkeys: true },
    afresh: { providers: [], magicLink: false, emailCode: false },
  }),
  page('auth/step-up', 'afresh', {
    ...form,
    email: 'ada@example.com',
    methods: { password: false, code: false, codeField: 'totp', passkeys: false },
    afresh: { providers: providers.slice(0, 1), magicLink: true, emailCode: true },
  }),
  page('social/organization', 'plain', { returnTo: null, problem: null }),
  page('social/organization', 'refused', {
    returnTo: '/reports',
    values: { email: 'ada@nowhere.example' },
    problem: { code: 'no_organization' },
  }),
  page('social/continue', 'found', { kind: 'found', name: 'Acme', continueUrl: '/auth/social/sso-1/login' }),
  page('social/continue', 'demanded', {
    kind: 'demanded',
    name: 'Acme',
    continueUrl: '/auth/social/sso-1/login',
  }),
  page('social/continue', 'hostile', {
    kind: 'found',
    name: HOSTILE,
    continueUrl: '/auth/social/sso-1/login',
  }),
  page('passwordless/request', 'link', { ...form, kind: 'link' }),
  page('passwordless/request', 'code', {
    ...form,
    kind: 'code',
    locale: 'de',
    values: { email: 'ada' },
    problem: { code: 'invalid_input', fields: { email: 'invalid_email' } },
  }),
  page('passwordless/sent', 'bound', { email: 'ada@example.com', code: 'K7MPQ2XW', returnTo: null }),
  page('passwordless/sent', 'free', { email: 'ada@example.com', code: null, returnTo: '/me' }),
  page('passwordless/confirm', 'same', {
    ...form,
    rememberMe: true,
    email: 'a•••@example.com',
    needsCode: false,
  }),
  page('passwordless/confirm', 'other', {
    ...form,
    rememberMe: true,
    email: 'a•••@example.com',
    needsCode: true,
    problem: { code: 'invalid_input', fields: { code: 'invalid_code' } },
  }),
  page('passwordless/code', 'plain', { ...form, rememberMe: true, email: 'ada@example.com' }),
  page('mfa/begin', 'plain', { ...form, passkeys: true }),
  page('mfa/cancel-reset', 'plain', form),
  page('mfa/setup', 'plain', {
    ...form,
    qrCode,
    secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
    otpauthUrl: 'otpauth://totp/Harbour:ada@example.com?secret=JBSWY3DP&issuer=Harbour',
  }),
  page('mfa/setup', 'refused', {
    ...form,
    locale: 'de',
    qrCode,
    secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
    otpauthUrl: 'otpauth://totp/x',
    problem: { code: 'invalid_input', fields: { code: 'invalid_code' } },
  }),
  page('mfa/challenge', 'all', { ...form, factors: ['totp', 'passkey', 'recovery_code'] }),
  page('mfa/challenge', 'passkey', {
    ...form,
    factors: ['passkey', 'recovery_code'],
    problem: { code: 'invalid_credentials' },
  }),
  page('mfa/challenge', 'recovery', { ...form, factors: ['recovery_code'] }),
  page('mfa/recovery-codes', 'plain', {
    codes: [
      'k4tw-9xhm-2qvd',
      '7rzp-m3jn-w8ca',
      'xv2d-6kfe-t9hy',
      'b8mq-4wzs-j5rn',
      'h3yc-p7ta-n6gk',
      'd9fx-2vre-q4mw',
      'w6jk-8bhz-c3pt',
      'm5na-y4qd-7xvs',
      't2ge-k9wr-f8jb',
      'p8zh-c6mx-3dyq',
    ],
    continueUrl: '/account/security',
  }),
  page('mfa/manage', 'on', { ...form, ...factors }),
  page('mfa/manage', 'off', {
    ...form,
    ...factors,
    mounted: { ...mounted, account: false },
    totp: false,
    factors: [],
    recoveryCodesLeft: 0,
    trustedDevices: [],
    resetAt: null,
  }),
  page('mfa/manage', 'hostile', {
    ...form,
    ...factors,
    locale: 'de',
    factors: ['passkey'],
    totp: false,
    recoveryCodesLeft: 0,
    trustedDevices: [{ id: HOSTILE, device: HOSTILE, expiresAt: at(-20) }],
  }),
  page('passkeys/list', 'two', { ...form, mounted, passkeys, isSecondFactor: true }),
  page('passkeys/list', 'empty', {
    ...form,
    mounted: { ...mounted, account: false },
    passkeys: [],
    isSecondFactor: false,
  }),
  page('passkeys/list', 'hostile', {
    isSecondFactor: true,
    ...form,
    mounted,
    passkeys: [{ ...passkeys[0], id: '"><script>', name: HOSTILE }],
  }),
  page('api-keys/list', 'two', { ...form, mounted, keys: apiKeys, assignments }),
  page('api-keys/list', 'empty', { ...form, mounted, keys: [], assignments: [] }),
  page('api-keys/list', 'hostile', {
    ...form,
    mounted,
    keys: [{ ...apiKeys[0], id: '"><script>', name: HOSTILE, start: HOSTILE }],
    assignments: [{ role: HOSTILE, scope: HOSTILE }],
  }),
  page('api-keys/issued', 'new', issuedKey),
  page('api-keys/issued', 'replaced', { ...issuedKey, previousUntil: at(-1) }),
  page('api-keys/issued', 'hostile', { ...issuedKey, name: HOSTILE, key: HOSTILE }),
  page('orgs/list', 'member', {
    ...form,
    mounted,
    organizations: [{ id: '1', slug: 'acme', name: 'Acme' }],
    joinable: [{ id: '2', slug: 'other', name: 'Other & Sons' }],
    mayFound: true,
    nextCursor: null,
  }),
  page('orgs/list', 'nobody', {
    ...form,
    mounted,
    organizations: [],
    joinable: [],
    mayFound: false,
    nextCursor: null,
  }),
  page('orgs/organization', 'owner', organization),
  page('orgs/organization', 'member', {
    ...organization,
    organization: { id: '1', slug: 'acme', name: HOSTILE },
    roles: [],
    invitations: [],
    links: [],
    projects: [],
    teams: [],
    may: {
      manage: false,
      delete: false,
      invite: false,
      remove: false,
      addProject: false,
      addTeam: false,
    },
  }),
  page('device/enter', 'plain', form),
  page('device/confirm', 'all', { ...form, ...asking, scopes: null }),
  page('device/confirm', 'hostile', { ...form, ...asking, clientId: HOSTILE, device: HOSTILE }),
  page('device/done', 'approved', { isApproved: true }),
  page('device/done', 'denied', { isApproved: false }),
  page('orgs/accept', 'accept', { ...invited, state: 'accept' }),
  page('orgs/accept', 'visitor', { ...invited, state: 'sign_in' }),
  page('orgs/accept', 'link', { ...invited, email: null, state: 'sign_in' }),
  page('orgs/link', 'new', {
    url: 'https://app.example/orgs/invitations/accept?token=q0cUxVv2rY8nJm3k.Pb7s1Zl0Qe9fT4hN6aWdXgRiKoMuCy5jLwEvBtHnS2I',
    role: 'org_member',
    maxUses: 10,
    expiresAt: at(7),
    continueUrl: '/orgs/acme',
  }),
  page('orgs/accept', 'other', { ...invited, state: 'other_account', signUpUrl: null }),
  page('account/security', 'safe', security),
  page('account/security', 'new', {
    ...security,
    emailVerified: false,
    hasPassword: false,
    passwordChangedAt: null,
    totp: false,
    passkeyCount: 0,
    linkedAccounts: [],
    providers: [],
    sessions: sessions.slice(0, 1),
  }),
  page('account/security', 'alone', {
    ...security,
    mounted: {
      auth: false,
      account: true,
      mfa: false,
      passkeys: false,
      social: false,
      apiKeys: false,
      admin: false,
      orgs: false,
    },
    providers: [],
    sessions: [{ ...sessions[0], device: null }],
  }),
  page('account/security', 'hostile', {
    ...security,
    locale: 'de',
    email: HOSTILE,
    linkedAccounts: [{ id: HOSTILE, name: HOSTILE, email: HOSTILE }],
    providers: [{ id: HOSTILE, name: HOSTILE }],
    sessions: [{ ...sessions[1], id: HOSTILE, device: HOSTILE, location: HOSTILE }],
  }),
  page('account/history', 'some', {
    ...form,
    mounted,
    nextUrl: '/account/history?cursor=x',
    entries: [
      {
        at: at(0),
        type: 'user.signed_in',
        outcome: 'success',
        isOwn: true,
        ip: '198.51.100.7',
        device: 'Firefox on Linux',
      },
      {
        at: at(-60),
        type: 'user.sign_in_failed',
        outcome: 'failure',
        isOwn: true,
        ip: '203.0.113.9',
        device: HOSTILE,
      },
      { at: at(-90), type: 'role.assigned', outcome: 'success', isOwn: false, ip: null, device: null },
    ],
  }),
  page('account/history', 'none', { ...form, mounted, nextUrl: null, entries: [] }),
  page('account/data', 'plain', { ...form, mounted, deletionAt: null, graceDays: 30, consents: [] }),
  page('account/data', 'leaving', {
    ...form,
    mounted,
    deletionAt: at(-20),
    graceDays: 30,
    consents: [
      { purpose: 'terms', label: HOSTILE, url: '/terms', required: true, givenAt: at(90), isOld: true },
      { purpose: 'news', label: { en: 'News' }, url: null, required: false, givenAt: at(9), isOld: false },
      { purpose: 'offers', label: HOSTILE, url: null, required: false, givenAt: null, isOld: false },
    ],
  }),
  page('admin/overview', 'plain', {
    ...admin,
    stats: { users: 1204, suspended: 3, liveSessions: 311 },
    charts: ['signIns', 'failures', 'lockouts', 'signUps'].map((name) => ({
      name,
      total: 412,
      width: 140,
      bars,
    })),
  }),
  page('admin/users', 'some', {
    ...admin,
    users: [person, { ...person, emailVerifiedAt: null, username: null, roles: ['user'] }, odd],
    query: { search: HOSTILE, role: '', scope: '', status: 'suspended' },
    columns: [],
    nextUrl: '/admin/users?cursor=x',
  }),
  page('admin/users', 'none', {
    ...admin,
    users: [],
    query: { search: 'nobody', role: '', scope: '', status: '' },
    columns: [],
    nextUrl: null,
  }),
  page('admin/user-new', 'plain', { ...admin, values: {} }),
  page('admin/user', 'plain', { ...personPage, admin: { ...frame, done: 'updated' } }),
  page('admin/user', 'hostile', {
    ...personPage,
    locale: 'de',
    user: odd,
    assignments: [{ role: HOSTILE, scope: HOSTILE, expiresAt: null }],
    assignable: [HOSTILE],
    resetAt: at(-2),
    sessions: [{ ...adminSession, device: HOSTILE, ip: HOSTILE, impersonatorId: 'x' }],
    entries: [oddEntry],
  }),
  page('admin/user', 'above', { ...personPage, mayManage: false, sessions: [], entries: [], factors: [] }),
  page('admin/bulk', 'preview', {
    ...admin,
    values: {},
    action: 'suspend',
    affected: [person, { ...person, id: 'p2', email: HOSTILE, roles: [HOSTILE] }],
    refused: [
      { id: 'p3', email: HOSTILE, code: 'forbidden' },
      { id: HOSTILE, email: null, code: 'not_found' },
    ],
    done: null,
    returnTo: '/admin/bulk?action=suspend&users=p2',
  }),
  page('admin/bulk', 'done', {
    ...admin,
    action: 'delete',
    affected: [],
    refused: [{ id: 'p3', email: HOSTILE, code: 'conflict' }],
    done: 1,
  }),
  page('admin/roles', 'plain', {
    ...admin,
    roles: [role, oddRole],
    matrix: ['admin', 'odd'].map((name) => ({
      name,
      cells: [
        { name: 'admin', may: false },
        { name: 'odd', may: true },
      ],
    })),
    values: {},
  }),
  page('admin/role', 'plain', {
    ...admin,
    role: oddRole,
    others: ['user'],
    holders: [{ id: 'x', email: HOSTILE }],
  }),
  page('admin/permissions', 'plain', {
    ...admin,
    permissions: [
      { name: 'project:read', description: 'See a project.', tool: 'projects' },
      { name: 'odd:thing', description: HOSTILE, tool: HOSTILE },
    ],
    nextUrl: '/admin/permissions?cursor=x',
    values: {},
  }),
  page('admin/scopes', 'plain', {
    ...admin,
    parent: 'org:acme',
    above: ['global'],
    scopes: [{ id: 'project:42', name: HOSTILE, ownerId: person.id }],
    nextUrl: null,
    values: {},
  }),
  page('admin/why', 'plain', {
    ...admin,
    values: { user: HOSTILE, permission: 'project:read', scope: 'project:42' },
    email: person.email,
    answer: {
      allowed: true,
      reason: HOSTILE,
      chain: ['project:42', 'org:acme', 'global'],
      grants: [{ role: 'org_admin', scope: 'org:acme', through: 'assignment' }],
    },
  }),
  page('admin/why', 'empty', {
    ...admin,
    values: { user: '', permission: '', scope: 'global' },
    email: null,
    answer: null,
  }),
  page('admin/sessions', 'plain', {
    ...admin,
    sessions: [adminSession, { ...adminSession, email: HOSTILE, device: null }],
    nextUrl: null,
  }),
  page('admin/orgs', 'several', {
    ...admin,
    values: {},
    orgs: [adminOrg, { ...adminOrg, id: HOSTILE, name: HOSTILE, slug: HOSTILE }],
    search: HOSTILE,
    nextUrl: '/admin/orgs?cursor=x',
  }),
  page('admin/org', 'hostile', {
    ...admin,
    values: { name: HOSTILE, slug: HOSTILE, joinByDomain: true, allowedEmailDomains: 'example.com' },
    org: {
      ...adminOrg,
      name: HOSTILE,
      policy: {
        requireSecondFactor: true,
        joinByDomain: true,
        sessionMaxSeconds: 28_800,
        allowedEmailDomains: ['example.com'],
      },
    },
    members: [
      { user: person, roles: ['org_owner'], since: at(3) },
      { user: { ...person, id: HOSTILE, email: HOSTILE }, roles: [HOSTILE], since: at(2) },
    ],
    nextUrl: null,
  }),
  page('admin/api-keys', 'several', {
    ...admin,
    keys: [
      { ...adminKey, owner: { id: person.id, kind: 'person', email: person.email, name: null } },
      {
        ...adminKey,
        id: HOSTILE,
        name: HOSTILE,
        grants: [{ role: HOSTILE, scope: HOSTILE }],
        exposedAt: at(1),
        owner: { id: 's1', kind: 'service', email: 's1@service.invalid', name: HOSTILE },
      },
      { ...adminKey, id: 'k3', kind: 'master', revokedAt: at(1), isOver: true, owner: null },
    ],
    user: '',
    nextUrl: null,
  }),
  page('admin/service-accounts', 'several', {
    ...admin,
    values: {},
    accounts: [serviceAccount, { ...serviceAccount, id: HOSTILE, name: HOSTILE, suspendedAt: at(1) }],
    org: '',
    nextUrl: null,
  }),
  page('admin/service-account', 'hostile', {
    ...admin,
    values: {},
    account: { ...serviceAccount, name: HOSTILE, orgName: HOSTILE },
    keys: [adminKey, { ...adminKey, id: 'k2', name: HOSTILE, isOver: true, grants: [] }],
    assignments: [{ role: HOSTILE, scope: HOSTILE, expiresAt: null }],
    nextUrl: null,
  }),
  page('admin/api-key', 'plain', {
    ...admin,
    account: HOSTILE,
    name: HOSTILE,
    key: 'at_live_Zk3vQ9xW1mB7_tY5nR8cJ2hL6pD4sF0gAZk3vQ9xW1mB7_tY5nR8',
    expiresAt: at(-90),
    continueUrl: '/admin/service-accounts/s1',
  }),
  page('admin/webhooks', 'several', {
    ...admin,
    values: {},
    webhooks: [
      webhook,
      { ...webhook, id: 'w2', events: ['user.created', 'user.deleted'], failingSince: at(2) },
      { ...webhook, id: HOSTILE, url: HOSTILE, disabledAt: at(1), disabledReason: 'gone' },
    ],
    nextUrl: null,
  }),
  page('admin/webhook', 'deliveries', {
    ...admin,
    values: { url: webhook.url, events: '*' },
    webhook: { ...webhook, disabledAt: at(1), disabledReason: 'failing', previousSecretUntil: at(-1) },
    deliveries: [
      delivery,
      {
        ...delivery,
        id: 'd2',
        type: HOSTILE,
        status: 'dead',
        attempts: 11,
        lastStatus: null,
        lastError: HOSTILE,
      },
      { ...delivery, id: 'd3', body: HOSTILE, status: 'waiting', attempts: 0, lastStatus: null },
    ],
    status: null,
    nextUrl: null,
  }),
  page('admin/webhook-secret', 'replaced', {
    ...admin,
    url: webhook.url,
    secret: 'whsec_Zk3vQ9xW1mB7tY5nR8cJ2hL6pD4sF0gAZk3vQ9xW1mB=',
    previousUntil: at(-1),
    continueUrl: '/admin/webhooks/w1',
  }),
  page('admin/mails', 'dead', {
    ...admin,
    mails: [
      {
        id: 'm1',
        template: 'verification',
        to: HOSTILE,
        createdAt: at(1),
        sentAt: null,
        deadAt: at(0),
        attempts: 8,
        lastError: HOSTILE,
      },
    ],
    status: 'dead',
    nextUrl: null,
  }),
  page('admin/jobs', 'plain', {
    ...admin,
    jobs: [
      {
        name: 'clean-up',
        everySeconds: 3600,
        isRunning: false,
        lastRunAt: at(0),
        lastNote: 'removed 3 sessions',
      },
      { name: 'audit.seal', everySeconds: 10, isRunning: true, lastRunAt: null, lastNote: null },
    ],
    database: 'up',
    broadcast: '"none"',
  }),
  page('admin/throttles', 'plain', {
    ...admin,
    waits: [{ id: 'k3yd1g3st', failures: 7, consecutive: 7, blockedUntil: at(-1), seenAt: at(0) }],
    nextUrl: null,
  }),
  page('admin/audit', 'plain', {
    ...admin,
    entries: [entry, oddEntry],
    values: { q: HOSTILE, outcome: 'denied', from: '2026-03-01T00:00:00.000Z' },
    query: 'outcome=denied',
    nextUrl: '/admin/audit?cursor=x',
  }),
  page('message', 'verified', { ...done, message: 'email_verified', continueUrl: '/', leadsToSignIn: true }),
  page('message', 'reset', { ...done, message: 'reset_requested' }),
  page('message', 'notice', {
    ...done,
    message: 'email_changed',
    continueUrl: '/account/security',
    isSignedIn: true,
    notice: { name: 'provider_linked', values: { provider: HOSTILE } },
  }),
  page('error', 'token', { ...wayOn, code: 'invalid_token', status: 400, requestId: '01JP8Z3M' }),
  page('error', 'slow', { ...wayOn, code: 'rate_limited', status: 429, retryAfterSeconds: 120 }),
  page('error', 'superseded', { ...wayOn, code: 'superseded', status: 401 }),
  page('error', 'unknown', { ...wayOn, code: HOSTILE, status: 500, requestId: HOSTILE }),
  page('error-type', 'plain', { code: 'weak_password', status: 422 }),
  page('error-type', 'without', { code: 'misconfigured', status: 500 }),
  page('dev/mailbox', 'two', { mails: [mail, { ...mail, subject: HOSTILE, to: HOSTILE }] }),
  page('dev/mailbox', 'empty', { mails: [] }),
  page('dev/mail', 'plain', {
    mail,
    text: 'Confirm your email address\n\nThanks for joining Harbour.\n\nConfirm address:\nhttps://harbour.example/auth/verify-email?token=abc\n',
    links: ['https://harbour.example/auth/verify-email?token=abc'],
    htmlUrl: '/auth/dev/mailbox/1/html',
  }),
];

const key = { keyName: 'Backup script', account: null };
const base = { to: 'ada@example.com', name: 'Ada' };
const activity = { at: at(0), device: 'Chrome on Windows', ip: '198.51.100.7' };
const link =
  'https://harbour.example/auth/verify-email?token=4f9a2c7be1d05836.Zk3vQ8mR1xT7wY2nB5hJ9cL4sD6gF0pA';
const expiring = { ...base, link, expiresInSeconds: 1800 };
const notice = { ...base, link: 'https://harbour.example/account/security', activity };

/** name, variant and data of every mail. */
export const mailSamples = [
  page('verification', 'plain', { ...expiring, expiresInSeconds: 86_400 }),
  page('welcome', 'plain', { ...base, link: 'https://harbour.example/' }),
  page('already-registered', 'plain', {
    ...base,
    loginLink: 'https://harbour.example/auth/login',
    resetLink: 'https://harbour.example/auth/forgot-password',
  }),
  page('already-confirmed', 'plain', {
    ...base,
    loginLink: 'https://harbour.example/auth/login',
    resetLink: 'https://harbour.example/auth/forgot-password',
  }),
  page('account-deleted', 'plain', { ...base, name: null }),
  page('password-reset', 'plain', expiring),
  page('password-reset', 'deutsch', { ...expiring, locale: 'de' }),
  page('password-changed', 'plain', notice),
  page('email-change-confirm', 'plain', {
    ...expiring,
    newEmail: 'ada@lovelace.example',
    expiresInSeconds: 3600,
  }),
  page('email-changed-old', 'plain', {
    ...expiring,
    newEmail: 'ada@lovelace.example',
    expiresInSeconds: 7 * 86_400,
    activity,
  }),
  page('email-changed-new', 'plain', notice),
  page('new-device', 'plain', notice),
  page('new-device', 'hostile', {
    ...notice,
    name: HOSTILE,
    activity: { ...activity, device: `${HOSTILE}\r\nBcc: eve@evil.example`, ip: null },
  }),
  page('session-stolen', 'plain', { ...notice, name: null }),
  page('factor-added', 'plain', { ...notice, factor: 'totp' }),
  page('factor-removed', 'plain', { ...notice, factor: 'recovery_codes' }),
  page('factor-failed', 'plain', { ...notice, factor: 'totp', isClosed: false }),
  page('factor-failed', 'closed', { ...notice, factor: 'totp', isClosed: true }),
  page('recovery-code-used', 'plain', { ...notice, left: 9 }),
  page('factor-reset', 'plain', {
    name: notice.name,
    to: notice.to,
    link: notice.link,
    effectiveAt: new Date('2030-01-04T12:00:00Z'),
  }),
  page('deletion-requested', 'plain', { ...notice, effectiveAt: new Date('2030-01-31T12:00:00Z') }),
  page('impersonated', 'plain', { ...notice, expiresInSeconds: 1800 }),
  page('passkey-added', 'plain', { ...notice, passkeyName: 'YubiKey 5C' }),
  page('passkey-synced', 'plain', { ...notice, passkeyName: 'YubiKey 5C' }),
  page('passkey-added', 'hostile', { ...notice, passkeyName: HOSTILE }),
  page('passkey-removed', 'plain', { ...notice, passkeyName: 'YubiKey 5C' }),
  page('device-connected', 'plain', { ...notice, clientId: 'acme-cli' }),
  page('device-connected', 'hostile', { ...notice, clientId: HOSTILE }),
  page('api-key-created', 'plain', { ...notice, keyName: 'Backup script', expiresAt: at(-90) }),
  page('api-key-created', 'hostile', { ...notice, keyName: HOSTILE, expiresAt: at(-90) }),
  page('api-key-exposed', 'revoked', { ...notice, ...key, isRevoked: true }),
  page('api-key-exposed', 'flagged', { ...notice, ...key, isRevoked: false }),
  page('api-key-exposed', 'service', { ...notice, ...key, account: 'CI', isRevoked: true }),
  page('api-key-exposed', 'hostile', { ...notice, keyName: HOSTILE, account: HOSTILE, isRevoked: true }),
  page('api-key-expiring', 'plain', { ...base, link: notice.link, ...key, expiresAt: at(-6) }),
  page('api-key-expiring', 'service', {
    ...base,
    link: notice.link,
    ...key,
    account: 'CI',
    expiresAt: at(-6),
  }),
  page('social-linked', 'plain', { ...notice, provider: 'Google' }),
  page('social-unlinked', 'plain', { ...notice, provider: 'Google' }),
  page('email-change-undone', 'plain', {
    name: notice.name,
    to: notice.to,
    link: notice.link,
    effectiveAt: new Date('2030-01-04T12:00:00Z'),
  }),
  page('sso-domain-lapsed', 'plain', {
    name: notice.name,
    to: notice.to,
    link: notice.link,
    domain: 'acme.example',
  }),
  page('webhook-disabled', 'failing', {
    name: notice.name,
    to: notice.to,
    link: notice.link,
    host: 'hooks.acme.example',
    isGone: false,
  }),
  page('webhook-disabled', 'gone', {
    name: notice.name,
    to: notice.to,
    link: notice.link,
    host: 'hooks.acme.example',
    isGone: true,
  }),
  page('account-locked', 'plain', { ...expiring, expiresInSeconds: 3600 }),
  page('magic-link-sign-up', 'plain', { ...expiring, expiresInSeconds: 600, activity }),
  page('invitation', 'plain', {
    ...expiring,
    expiresInSeconds: 604_800,
    organization: 'Acme',
    inviter: 'olive',
    message: 'Welcome to the team.',
  }),
  page('magic-link', 'plain', { ...expiring, expiresInSeconds: 600, activity }),
  page('email-code', 'plain', { ...base, code: '482 913', expiresInSeconds: 600, activity }),
];

function page(name, variant, data) {
  return { name, variant, data };
}

/** Squares that look like a QR code; it encodes nothing. */
function qrLookalike() {
  const size = 29;
  let state = 7;
  const dark = () => {
    state = (state * 16807) % 2147483647;
    return state % 2 === 0;
  };
  const finder = (x, y) => `<path d="M${x} ${y}h7v7h-7zm1 1v5h5v-5zm1 1h3v3h-3z" fill-rule="evenodd"/>`;
  let squares = '';
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const isFinder = (x < 8 && y < 8) || (x > size - 9 && y < 8) || (x < 8 && y > size - 9);
      if (dark() && !isFinder) squares += `M${x} ${y}h1v1h-1z`;
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges"><path d="${squares}"/>${finder(0, 0)}${finder(size - 7, 0)}${finder(0, size - 7)}</svg>`;
}
