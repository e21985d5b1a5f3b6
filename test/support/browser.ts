const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

export interface RequestOptions {
  headers?: Record<string, string>;
  /** Sent as it is, with the content type of `headers`. */
  rawBody?: string;
}

/** A minimal browser: a cookie jar, a User-Agent, JSON bodies. Cookies are kept whatever the scheme, redirects are not followed. */
export class Browser {
  readonly jar = new Map<string, string>();
  userAgent: string;
  readonly #base: string;

  constructor(base: string, userAgent = FIREFOX) {
    this.#base = base;
    this.userAgent = userAgent;
  }

  get(path: string, options: RequestOptions = {}): Promise<Response> {
    return this.request('GET', path, undefined, options);
  }

  post(path: string, body?: unknown, options: RequestOptions = {}): Promise<Response> {
    return this.request('POST', path, body, options);
  }

  delete(path: string, options: RequestOptions = {}): Promise<Response> {
    return this.request('DELETE', path, undefined, options);
  }

  patch(path: string, body?: unknown, options: RequestOptions = {}): Promise<Response> {
    return this.request('PATCH', path, body, options);
  }

  /** A second browser with a copy of the jar: what a thief has. */
  stolen(userAgent = this.userAgent): Browser {
    const copy = new Browser(this.#base, userAgent);
    for (const [name, value] of this.jar) copy.jar.set(name, value);
    return copy;
  }

  get cookieHeader(): string {
    return [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  async request(
    method: string,
    path: string,
    body?: unknown,
    options: RequestOptions = {},
  ): Promise<Response> {
    const headers: Record<string, string> = { 'user-agent': this.userAgent };
    if (this.jar.size > 0) headers.cookie = this.cookieHeader;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const response = await fetch(this.#base + path, {
      method,
      headers: { ...headers, ...options.headers },
      redirect: 'manual',
      ...(options.rawBody !== undefined
        ? { body: options.rawBody }
        : body !== undefined
          ? { body: JSON.stringify(body) }
          : {}),
    });
    for (const cookie of response.headers.getSetCookie()) this.#keep(cookie);
    return response;
  }

  #keep(cookie: string): void {
    const [pair = '', ...attributes] = cookie.split(';');
    const name = pair.slice(0, pair.indexOf('='));
    const isGone = attributes.some((attribute) => /^\s*max-age=0$/i.test(attribute));
    if (isGone) this.jar.delete(name);
    else this.jar.set(name, pair.slice(pair.indexOf('=') + 1));
  }
}
