import type { ErrorCode } from '../errors.js';
import type { MountedPages } from '../templates/template-data.js';
import type { Views } from './pages/views.js';
import type { Feature, Route, RouteGuard, SignInMethods } from './route.js';

/** One line of `authTuna.routes()`. */
export interface MountedRoute {
  method: string;
  /** As it is usually reached, with the path of its router: `/auth/login`. */
  path: string;
  summary: string;
  /** Who may call it; null for everybody. */
  guard: RouteGuard | null;
  isPage: boolean;
}

/** What the host has mounted: pages link to nothing else, and `authTuna.routes()` lists it. */
export class Mounts {
  readonly pages: MountedPages = {
    auth: false,
    account: false,
    mfa: false,
    passkeys: false,
    social: false,
    apiKeys: false,
    admin: false,
    orgs: false,
  };
  readonly signInMethods: SignInMethods = {
    magicLink: false,
    emailCode: false,
    passkeys: false,
    providers: [],
    organizations: async () => false,
  };
  /** Paths at which another site may POST: they send the browser on to a GET of ours and do nothing else. */
  readonly crossSitePosts = new Set<string>();
  /** The settings of `paths` that were found to be wrong, which is said once. */
  readonly misplaced = new Set<string>();
  readonly #features = new Map<string, Feature>();

  add(views: Views, feature: Feature): void {
    this.#features.set(feature.name, feature);
    for (const path of feature.crossSitePosts ?? []) this.crossSitePosts.add(path);
    const { pages } = feature;
    if (pages === null) return;
    if (pages.mounted !== undefined) this.pages[pages.mounted] = true;
    Object.assign(this.signInMethods, pages.signInMethods);
    for (const [code, path] of Object.entries(pages.cures ?? {})) views.sendTo(code as ErrorCode, path);
  }

  /** Where routers are mounted, without those below another one: `/auth`, `/account`. */
  places(): string[] {
    const paths = [...this.#features.values()].map(({ path }) => path).sort();
    return paths.filter((path) => !paths.some((above) => path.startsWith(`${above}/`)));
  }

  /** What is mounted, in the order in which the routers were made. */
  features(): Iterable<Feature> {
    return this.#features.values();
  }

  /** Every mounted route and page, in the order in which the routers were made. */
  list(): MountedRoute[] {
    return [...this.features()].flatMap((feature) => [
      ...(feature.pages?.routes ?? []).map((page) => ({
        method: 'GET',
        path: feature.path + page.path,
        summary: 'Page',
        guard: page.guard ?? null,
        isPage: true,
      })),
      ...feature.routes
        .filter((route) => route.isFormOnly !== true || feature.pages !== null)
        .map((route) => describe(feature, route)),
    ]);
  }
}

/** The usual address of a route, with `:parameters`. */
export function addressOf(feature: Feature, { path }: Pick<Route, 'path'>): string {
  return path === '/' ? feature.path : feature.path + path;
}

function describe(feature: Feature, route: Route): MountedRoute {
  return {
    method: route.method.toUpperCase(),
    path: addressOf(feature, route),
    summary: route.summary,
    guard: route.guard ?? null,
    isPage: false,
  };
}
