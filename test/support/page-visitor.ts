import type { Browser } from './browser.js';

const ACCEPT = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

export interface OpenedPage {
  /** Path and query, after redirects. */
  address: string;
  status: number;
  headers: Headers;
  html: string;
  /** The token in the page's first form, empty when there is none. */
  csrfToken: string;
  /** Names and values of the hidden and prefilled fields of the first form. */
  fields: Record<string, string>;
  /** Where that form posts to. */
  action: string;
}

/** A browser without scripts: opens pages, follows redirects, fills in and sends forms. */
export class PageVisitor {
  readonly browser: Browser;

  constructor(browser: Browser) {
    this.browser = browser;
  }

  /** Opens a path and follows redirects on this site. */
  async open(path: string, headers: Record<string, string> = {}): Promise<OpenedPage> {
    let response = await this.browser.get(path, { headers: { accept: ACCEPT, ...headers } });
    for (let hops = 0; response.status === 303 && hops < 5; hops += 1)
      response = await this.browser.get(response.headers.get('location') ?? '', {
        headers: { accept: ACCEPT },
      });
    return pageOf(response);
  }

  /** Posts a form with exactly these fields; redirects are not followed. */
  postFields(
    path: string,
    fields: Record<string, string>,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return this.browser.post(path, undefined, {
      headers: { accept: ACCEPT, 'content-type': 'application/x-www-form-urlencoded', ...headers },
      rawBody: new URLSearchParams(fields).toString(),
    });
  }

  /** Fills in the first form of a page and sends it. */
  submit(page: OpenedPage, fields: Record<string, string> = {}): Promise<Response> {
    return this.postFields(page.action, { ...page.fields, ...fields });
  }

  /** Sends the form and opens what comes back. */
  async send(page: OpenedPage, fields: Record<string, string> = {}): Promise<OpenedPage> {
    const response = await this.submit(page, fields);
    return response.status === 303 ? this.open(response.headers.get('location') ?? '') : pageOf(response);
  }
}

async function pageOf(response: Response): Promise<OpenedPage> {
  const html = await response.text();
  const form = /<form method="post" action="([^"]*)">([\s\S]*?)<\/form>/.exec(html);
  const fields = Object.fromEntries(
    [...(form?.[2] ?? '').matchAll(/<input[^>]*>/g)].flatMap(([input]) => {
      const name = / name="([^"]*)"/.exec(input)?.[1];
      const value = / value="([^"]*)"/.exec(input)?.[1];
      return name === undefined || value === undefined || input.includes('type="checkbox"')
        ? []
        : [[name, unescaped(value)]];
    }),
  );
  const { pathname, search } = new URL(response.url);
  return {
    address: pathname + search,
    status: response.status,
    headers: response.headers,
    html,
    csrfToken: fields.csrfToken ?? '',
    fields,
    action: unescaped(form?.[1] ?? ''),
  };
}

/** The address of the link with this text. @throws Error when there is none */
export function linkOf({ html }: OpenedPage, text: string): string {
  const found = [...html.matchAll(/<a [^>]*href="([^"]+)"[^>]*>(?:<svg.*?<\/svg>)?([^<]*)</gs)].find(
    ([, , label = '']) => label.trim() === text,
  );
  if (found === undefined) throw new Error(`no link ${text} in ${html}`);
  return unescaped(found[1] ?? '');
}

/** What a page says above its content: the heading, what was done before it, and what is wrong, with each field's fault. */
export function toldBy({ html }: OpenedPage): string[] {
  const alert = /<div class="alert alert-danger"[\s\S]*?<\/div>\s*<\/div>/.exec(html)?.[0] ?? '';
  const parts = [
    ...(/<h1[^>]*>([\s\S]*?)<\/h1>/.exec(html)?.slice(1, 2) ?? []),
    ...[...html.matchAll(/<div class="notice" role="status"><p>([\s\S]*?)<\/p>/g)].map(([, text]) => text),
    ...[...alert.matchAll(/<(?:p|li)[^>]*>([\s\S]*?)<\/(?:p|li)>/g)].map(([, text]) => text),
  ];
  return parts.map((part = '') => unescaped(part.replace(/<[^>]*>/g, '').trim()));
}

/** Whether a page has a form, a button or a link in its content. */
export function leadsOn({ html }: OpenedPage): boolean {
  return /<(?:form|a) /.test(/<main[\s\S]*<\/main>/.exec(html)?.[0] ?? '');
}

function unescaped(text: string): string {
  return text
    .replace(/&#x([0-9a-f]+);/gi, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}
