import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { AuditFilter } from '../../core/changes/audit.js';
import { auditLines } from '../../core/changes/audit-export.js';
import { type Call, type Route, route } from '../../http/route.js';
import { type AdminContext, frameOf, given, nextUrl } from './admin-pages.js';
import { listMails, requireMayRetry } from './mails.js';
import { auditExportQuery, auditQuery, mailsQuery, nothing, pageQuery, statsQuery } from './schemas.js';
import { listSessions } from './sessions.js';
import { Statistics, type Stats } from './stats.js';
import { endWait, listWaits } from './throttles.js';
import { changes, reads } from './user-routes.js';

const DEFAULT_DAYS = 14;

/** Numbers, sessions, mails, jobs, throttles and the audit log. */
export function systemRoutes(context: AdminContext): Route[] {
  return [
    ...overviewRoutes(context),
    ...sessionRoutes(context),
    ...operationRoutes(context),
    ...auditRoutes(context),
  ];
}

function overviewRoutes(context: AdminContext): Route[] {
  const { parts, path } = context;
  const statistics = new Statistics(parts.core);
  const overview = async (call: Call<undefined, { days?: number | undefined }>) => {
    const stats = await statistics.of(call.query.days ?? DEFAULT_DAYS);
    return {
      json: stats,
      page: ['admin/overview', { admin: await frameOf(context, call), stats, charts: chartsOf(stats) }] as [
        'admin/overview',
        never,
      ],
    };
  };
  return [
    route({
      method: 'get',
      path: '/',
      summary: 'The first page of the administration',
      ...reads(),
      query: nothing,
      answers: { 200: '`{ path }`' },
      async run(call) {
        if (!call.wantsPage) return { json: { path } };
        const canCount = await call.auth.can('users:read');
        context.http.views.redirect(call.res, canCount ? `${path}/stats` : `${path}/jobs`);
        return undefined;
      },
    }),
    route({
      method: 'get',
      path: '/stats',
      summary: 'People and sessions now, sign-ins, failures, lockouts and new users of each of the last days',
      ...reads('users:read'),
      query: statsQuery,
      answers: { 200: '`{ users, suspended, liveSessions, days }`' },
      run: (call) => overview(call),
    }),
  ];
}

/** What the page draws: a bar for each day, as high as its share of the highest. */
function chartsOf({ days }: Stats) {
  const series = ['signIns', 'failures', 'lockouts', 'signUps'] as const;
  return series.map((name) => {
    const highest = Math.max(1, ...days.map((day) => day[name]));
    return {
      name,
      total: days.reduce((sum, day) => sum + day[name], 0),
      bars: days.map((day, index) => {
        const height = Math.round((day[name] / highest) * 60);
        return { day: day.day, count: day[name], x: index * 10, y: 60 - height, height };
      }),
      width: days.length * 10,
    };
  });
}

function sessionRoutes(context: AdminContext): Route[] {
  const { parts, path } = context;
  const { sessions } = parts.core;
  return [
    route({
      method: 'get',
      path: '/sessions',
      summary: "Everybody's live sessions",
      ...reads('sessions:manage'),
      query: pageQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { done: _done, ...query } = given(call.query);
        const list = await listSessions(parts.core, query);
        const more = nextUrl(`${path}/sessions`, query, list.nextCursor);
        return {
          json: list,
          page: [
            'admin/sessions',
            { admin: await frameOf(context, call), sessions: list.items, nextUrl: more },
          ],
        };
      },
    }),
    route({
      method: 'delete',
      path: '/sessions/:id',
      summary: 'End a session',
      ...changes('sessions:manage'),
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await sessions.revoke(param('id'), actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/sessions/:id/end',
      summary: 'End a session',
      ...changes('sessions:manage'),
      isFormOnly: true,
      answers: { 303: 'to the sessions' },
      async run({ param, actor }) {
        await sessions.revoke(param('id'), actor);
        return { redirectTo: `${path}/sessions?done=sessions_ended` };
      },
    }),
  ];
}

// Long: a table of routes, one value for each.
function operationRoutes(context: AdminContext): Route[] {
  const { parts, path } = context;
  const { core, jobs, mailer } = parts;
  return [
    route({
      method: 'get',
      path: '/mails',
      summary: 'Mails that wait, were given up (`?status=dead`) or were sent',
      ...reads('users:manage'),
      query: mailsQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { done: _done, ...query } = given(call.query);
        const list = await listMails(core, query);
        const more = nextUrl(`${path}/mails`, query, list.nextCursor);
        const status = query.status ?? 'waiting';
        return {
          json: list,
          page: [
            'admin/mails',
            { admin: await frameOf(context, call), mails: list.items, status, nextUrl: more },
          ],
        };
      },
    }),
    route({
      method: 'post',
      path: '/mails/:id/retry',
      summary: 'Try a mail that was given up once more',
      ...changes('users:manage'),
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await requireMayRetry(core, param('id'), actor);
        await mailer.retry(param('id'), actor);
        return { redirectTo: `${path}/mails?status=dead&done=retried` };
      },
    }),
    route({
      method: 'get',
      path: '/jobs',
      summary: 'What each job did last, and how the instance stands with the database and the others',
      ...reads(),
      query: nothing,
      answers: { 200: '`{ items, nextCursor: null, health }`' },
      async run(call) {
        const [items, health] = await Promise.all([jobs.status(), parts.health()]);
        return {
          json: { items, nextCursor: null, health },
          page: [
            'admin/jobs',
            {
              admin: await frameOf(context, call),
              jobs: items,
              database: health.database,
              broadcast: health.broadcast.kind,
            },
          ],
        };
      },
    }),
    route({
      method: 'post',
      path: '/jobs/:name/run',
      summary: 'Run a job now',
      ...changes('users:manage'),
      answers: { 200: '`{ note }`, what the job says it did' },
      run: async ({ param }) => ({
        json: { note: await jobs.run(param('name')) },
        redirectTo: `${path}/jobs?done=job_run`,
      }),
    }),
    route({
      method: 'get',
      path: '/throttles',
      summary: 'Waits after too many wrong guesses that are running',
      ...reads('users:manage'),
      query: pageQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const { done: _done, ...query } = given(call.query);
        const list = await listWaits(core, query);
        const more = nextUrl(`${path}/throttles`, query, list.nextCursor);
        return {
          json: list,
          page: [
            'admin/throttles',
            { admin: await frameOf(context, call), waits: list.items, nextUrl: more },
          ],
        };
      },
    }),
    route({
      method: 'delete',
      path: '/throttles/:id',
      summary: 'End a wait',
      ...changes('users:manage'),
      answers: { 204: 'no body' },
      async run({ param, actor }) {
        await endWait(core, param('id'), actor);
        return {};
      },
    }),
    route({
      method: 'post',
      path: '/throttles/:id/end',
      summary: 'End a wait',
      ...changes('users:manage'),
      isFormOnly: true,
      answers: { 303: 'to the waits' },
      async run({ param, actor }) {
        await endWait(core, param('id'), actor);
        return { redirectTo: `${path}/throttles?done=unblocked` };
      },
    }),
  ];
}

function auditRoutes(context: AdminContext): Route[] {
  const { audit } = context.parts.core;
  const { path } = context;
  const filterOf = (query: { actor?: string; target?: string }): AuditFilter => {
    const { actor, target, ...rest } = query;
    return {
      ...rest,
      ...(actor !== undefined && { actorId: actor }),
      ...(target !== undefined && { targetId: target }),
    };
  };
  return [
    route({
      method: 'get',
      path: '/audit',
      summary: 'The audit log, newest first',
      ...reads('audit:read'),
      query: auditQuery,
      answers: { 200: '`{ items, nextCursor }`' },
      async run(call) {
        const list = await audit.list(filterOf(given(call.query)));
        const { cursor: _cursor, limit: _limit, ...filter } = given(call.query);
        return {
          json: list,
          page: [
            'admin/audit',
            {
              admin: await frameOf(context, call),
              entries: list.items.map((entry) => ({
                ...entry,
                data: entry.data === null ? null : JSON.stringify(entry.data),
              })),
              values: shown(filter),
              query: new URLSearchParams(shown(filter)).toString(),
              nextUrl: nextUrl(`${path}/audit`, filter, list.nextCursor),
            },
          ],
        };
      },
    }),
    route({
      method: 'get',
      path: '/audit/export',
      summary: 'The audit log as a file, the oldest first: `?format=jsonl|csv` and the filters of the list',
      guard: { permission: ['admin:access', 'audit:read'], fresh: true, recent: 'login' },
      query: auditExportQuery,
      answers: { 200: 'a file of lines' },
      async run({ query, res, actor }) {
        const { format = 'jsonl', ...rest } = given(query);
        const filter = filterOf(rest);
        const entries = audit.export(filter);
        await audit.record({ type: 'audit.exported', actor, data: { format, filter: shown(filter) } });
        res.setHeader('Content-Type', format === 'csv' ? 'text/csv; charset=utf-8' : 'application/jsonl');
        res.setHeader('Content-Disposition', `attachment; filename="audit.${format}"`);
        await pipeline(Readable.from(auditLines(entries, format)), res);
        return undefined;
      },
    }),
  ];
}

/** A filter as texts, for fields and addresses. */
function shown(filter: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(filter).map(([key, value]) => [
      key,
      value instanceof Date ? value.toISOString() : String(value),
    ]),
  );
}
