import { z } from 'zod';
import type { Config } from '../config/config.js';
import { ERROR_CODES } from '../errors.js';
import { cookieSpec } from './answer/cookies.js';
import type { Credential } from './caller/authenticators.js';
import { addressOf } from './mounts.js';
import type { Feature, Route, RouteGuard } from './route.js';

/** What an OpenAPI document says of itself. */
export interface OpenApiOptions {
  /** Default: `appName`. */
  title?: string;
  /** The version of your API. Default `1.0.0`. */
  version?: string;
  /** Default: `baseUrl` alone. */
  servers?: readonly { url: string; description?: string }[];
}

/** @see OpenAPI Specification 3.1.0 */
export interface OpenApiDocument {
  openapi: '3.1.0';
  info: { title: string; version: string };
  servers: readonly { url: string; description?: string }[];
  /** Path, then method in lower case. */
  paths: Record<string, Record<string, OpenApiOperation>>;
  components: { securitySchemes: Record<string, object>; schemas: Record<string, object>; responses: object };
}

export interface OpenApiOperation {
  operationId: string;
  /** The name of the router. */
  tags: readonly string[];
  summary: string;
  description?: string;
  parameters?: readonly object[];
  requestBody?: object;
  responses: Record<string, object>;
  /** What a request may prove its caller by; an empty list for everybody. */
  security: readonly Record<string, readonly never[]>[];
}

/** Describes the mounted routes for programs. Pages and their forms are left out. */
export function openApiOf(
  features: Iterable<Feature>,
  config: Config,
  options: OpenApiOptions = {},
): OpenApiDocument {
  const paths: OpenApiDocument['paths'] = {};
  for (const feature of features)
    for (const route of feature.routes) {
      if (route.isFormOnly === true || route.isCrossSite === true) continue;
      const path = addressOf(feature, route).replace(/:(\w+)/g, '{$1}');
      paths[path] ??= {};
      paths[path][route.method] = operationOf(feature, route, path);
    }
  return {
    openapi: '3.1.0',
    info: { title: options.title ?? config.appName, version: options.version ?? '1.0.0' },
    servers: options.servers ?? [{ url: config.baseUrl }],
    paths,
    components: {
      securitySchemes: securitySchemes(config),
      schemas: { Problem: PROBLEM },
      responses: {
        Problem: {
          description: 'A refusal (RFC 9457)',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    },
  };
}

function operationOf(feature: Feature, route: Route, path: string): OpenApiOperation {
  const description = descriptionOf(route);
  const parameters = [...pathParameters(path), ...queryParameters(route.query)];
  const body = bodyOf(route);
  return {
    operationId: operationId(route.method, path),
    tags: [feature.name],
    summary: route.summary,
    ...(description !== '' && { description }),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== null && { requestBody: body }),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, text]) => [status, { description: text }]),
      ),
      default: { $ref: '#/components/responses/Problem' },
    },
    security: securityOf(route.guard),
  };
}

/** `post /auth/mfa/totp/{id}` -> `postAuthMfaTotpById`. */
function operationId(method: string, path: string): string {
  const words = path.split(/[^A-Za-z0-9{}]+/).filter((word) => word !== '');
  return (
    method +
    words.map((word) => (word.startsWith('{') ? `By${capital(word.slice(1, -1))}` : capital(word))).join('')
  );
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function descriptionOf({ guard, limit }: Route): string {
  const permissions = guard?.permission === undefined ? [] : [guard.permission].flat();
  return [
    ...(permissions.length > 0
      ? [`Needs ${permissions.map((name) => `\`${name}\``).join(' and ')} at \`global\`.`]
      : []),
    ...(guard?.recent === 'login' ? ['Needs a recent sign-in: `recent_login_required` otherwise.'] : []),
    ...(guard?.recent === 'factor' ? ['Needs a recent second factor of a user who has one.'] : []),
    ...(limit === undefined ? [] : ['Limited by address or user: `rate_limited` with `Retry-After`.']),
  ].join(' ');
}

function pathParameters(path: string): object[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(query: z.ZodType | undefined): object[] {
  if (query === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(query) as {
    properties?: Record<string, object>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    ...(required.includes(name) && { required: true }),
    schema,
  }));
}

function bodyOf({ method, body, takesForms }: Route): object | null {
  if (body === undefined || (method !== 'post' && method !== 'patch')) return null;
  const content = { schema: schemaOf(body) };
  return {
    required: true,
    content: {
      'application/json': content,
      ...(takesForms === true && { 'application/x-www-form-urlencoded': content }),
    },
  };
}

/** The JSON Schema of what is sent. Rules that JSON Schema cannot say are left out; a refusal names them. */
function schemaOf(schema: z.ZodType): object {
  const {
    $schema: _draft,
    $defs: _defs,
    ...rest
  } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  // The one schema that holds itself, and is named for that, is JSON of any kind.
  return JSON.parse(JSON.stringify(rest), (_key, value) => (isNamed(value) ? {} : value));
}

function isNamed(value: unknown): boolean {
  return typeof value === 'object' && value !== null && '$ref' in value;
}

const SCHEME_OF: Readonly<Record<Credential, readonly string[]>> = {
  session: ['session'],
  access_token: ['accessToken'],
  api_key: ['apiKey', 'apiKeyHeader'],
};

function securityOf(guard: RouteGuard | undefined): OpenApiOperation['security'] {
  if (guard === undefined) return [];
  const schemes = (guard.credentials ?? (['session'] as const)).flatMap(
    (credential) => SCHEME_OF[credential],
  );
  const listed = schemes.map((scheme) => ({ [scheme]: [] }));
  return guard.optional === true ? [{}, ...listed] : listed;
}

function securitySchemes(config: Config): Record<string, object> {
  const { name } = cookieSpec(config, config.session.cookieName, { domain: config.session.cookieDomain });
  return {
    session: { type: 'apiKey', in: 'cookie', name, description: 'The session of a browser' },
    accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
    apiKey: { type: 'http', scheme: 'bearer', description: 'An API key' },
    apiKeyHeader: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
  };
}

/** @see RFC 9457; docs/errors.md */
const PROBLEM = {
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'detail'],
  properties: {
    type: { type: 'string', format: 'uri-reference' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', enum: ERROR_CODES },
    detail: { type: 'string' },
    retryAfterSeconds: { type: 'integer' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['field', 'rule', 'message'],
        properties: {
          field: { type: 'string' },
          rule: { type: 'string' },
          message: { type: 'string' },
        },
      },
    },
  },
};
