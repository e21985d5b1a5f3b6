import { createMongoAbility, subject } from '@casl/ability';
import { newEnforcer, newModelFromString, StringAdapter } from 'casbin';
import { PERSON, SECRET } from './servers/shared.js';
import { median, table, whole } from './support/report.js';

export const title = 'Decisions per second, in memory';

/** One user with many assignments asks about a document that inherits a right from three levels above. */
export async function measure({ databases, log, short, peersOnly }) {
  const sizes = short ? [10, 1000] : [10, 1000, 100_000];
  const deciders = { ...(peersOnly ? {} : { AuthTuna: await authTuna(databases) }), CASL: casl, casbin };
  const lines = [];
  for (const [name, decider] of Object.entries(deciders)) {
    const cells = [];
    for (const size of sizes) {
      log(`${name} with ${size} assignments`);
      cells.push(whole(opsPerSecond(await decider(size), short ? 200 : 2000)));
    }
    lines.push([name, ...cells]);
  }
  const mutual = peersOnly ? [] : [`${await mutualRoles(short ? 50 : 200)}`];
  return [
    ...mutual,
    table(['', ...sizes.map((size) => `${whole(size)} assignments`)], lines),
    'AuthTuna walks from the document to the organization itself; CASL and casbin know no tree and are handed the organization.',
  ].join('\n\n');
}

/** Whether an administrator may assign one of many roles that may all assign one another: the hardest question about roles. */
async function mutualRoles(count) {
  const { RoleCatalog } = await import('../dist/core/access/role-catalog.js');
  const { mayAssign, Standing } = await import('../dist/core/access/delegation.js');
  const { Grants, GLOBAL_CHAIN } = await import('../dist/core/access/grants.js');
  const ids = Array.from({ length: count }, (_, index) => `role${index}`);
  const row = (id, level, permission, mayAssignIds) => ({
    id,
    name: id,
    ownedBy: '',
    description: null,
    level,
    at: '',
    origin: 'database',
    permissions: [{ permission }],
    includes: [],
    mayAssign: mayAssignIds.map((assignableId) => ({ assignableId })),
  });
  const rows = [row('root', 100, '*', []), ...ids.map((id) => row(id, 10, 'a:b', ids))];
  const held = [{ roleId: 'root', scope: 'global', expiresAt: null }];
  let decide;
  const afterLoading = Array.from({ length: 41 }, (_, version) => {
    const catalog = new RoleCatalog(version, rows);
    const grants = new Grants('ada', held, catalog, 0);
    decide = () => mayAssign(new Standing(grants, GLOBAL_CHAIN), catalog.find('role0'));
    const begin = performance.now();
    if (!decide()) throw new Error('the decision was wrong');
    return performance.now() - begin;
  });
  const perSecond = opsPerSecond(decide, 200);
  return `Deciding who may assign one of ${count} roles that may all assign one another: ${median(afterLoading).toFixed(2)} ms after the roles were loaded anew (median of 41), ${(1000 / perSecond).toFixed(2)} ms from then on.`;
}

function opsPerSecond(decide, milliseconds) {
  for (let i = 0; i < 1000; i++) if (!decide()) throw new Error('the decision was wrong');
  const start = performance.now();
  let count = 0;
  let elapsed = 0;
  while (elapsed < milliseconds) {
    for (let i = 0; i < 100; i++) decide();
    count += 100;
    elapsed = performance.now() - start;
  }
  return (count / elapsed) * 1000;
}

/** What a guard does when the memory answers: the chain of the document, then the roles held along it. */
async function authTuna(databases) {
  const { createAuthTuna, SYSTEM } = await import('../dist/index.js');
  const { Grants } = await import('../dist/core/access/grants.js');
  const { partsOf } = await import('../dist/parts.js');
  const instance = createAuthTuna({
    baseUrl: 'http://localhost:3000',
    secrets: [SECRET],
    databaseUrl: await databases.create('sqlite'),
    roles: { reader: { permissions: ['document:read'], at: ['org'] } },
    permissions: { document: ['read'] },
  });
  const { access, roles, scopes, users } = instance;
  const { scopeTree } = partsOf(instance).core;
  await instance.ready();
  const user = await users.create({ email: PERSON.email }, SYSTEM);

  return async (size) => {
    const organization = organizations(size)[size >> 1];
    const [project, team, document] = ['project', 'team', 'document'].map((type) => `${type}:${size}`);
    await scopes.register({ id: organization }, SYSTEM);
    await scopes.register({ id: project, parent: organization }, SYSTEM);
    await scopes.register({ id: team, parent: project }, SYSTEM);
    await scopes.register({ id: document, parent: team }, SYSTEM);
    await roles.assign({ userId: user.id, role: 'reader', scope: organization }, SYSTEM);
    await access.can(user.id, 'document:read', document);

    // The other assignments are not written to the database: only their number in memory matters here.
    const { catalog } = await access.grantsOf(user.id);
    const roleId = catalog.find('reader').id;
    const assignments = organizations(size).map((scope) => ({ roleId, scope, expiresAt: null }));
    const now = Date.now();
    const grants = new Grants(user.id, assignments, catalog, now);
    return () => grants.allow('document:read', scopeTree.remembered(document, now));
  };
}

/** One rule with all organizations: the quickest way CASL has to say it. */
function casl(size) {
  const conditions = { orgId: { $in: organizations(size) } };
  const ability = createMongoAbility([{ action: 'read', subject: 'Document', conditions }]);
  const document = subject('Document', { id: '1', orgId: organizations(size)[size >> 1] });
  return () => ability.can('read', document);
}

/** The RBAC model with domains of casbin's documentation. */
async function casbin(size) {
  const model = newModelFromString(`
    [request_definition]
    r = sub, dom, obj, act
    [policy_definition]
    p = sub, obj, act
    [role_definition]
    g = _, _, _
    [policy_effect]
    e = some(where (p.eft == allow))
    [matchers]
    m = g(r.sub, p.sub, r.dom) && r.obj == p.obj && r.act == p.act
  `);
  const policy = ['p, editor, document, read', ...organizations(size).map((org) => `g, ada, editor, ${org}`)];
  const enforcer = await newEnforcer(model, new StringAdapter(policy.join('\n')));
  const org = organizations(size)[size >> 1];
  return () => enforcer.enforceSync('ada', org, 'document', 'read');
}

function organizations(count) {
  return Array.from({ length: count }, (_, index) => `org:${index}`);
}
