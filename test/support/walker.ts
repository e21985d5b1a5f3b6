import { mkdirSync, readFileSync } from 'node:fs';
import axe from 'axe-core';
import type { Browser, Locator, Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';
import type { AuthTunaOptions } from '../../src/index.js';
import { type MockProvider, startMockProvider, TestClock } from '../../src/testing/index.js';
import { linkIn, type MailedApp, startMailedApp } from './mailed-app.js';

/** How a person looks at pages. */
export interface Look {
  scripts: boolean;
  width: 360 | 1280;
  colorScheme: 'light' | 'dark';
  locale: 'en' | 'de';
}

/** A text of the pages by its key, such as `fields.email`, with its values; several in one, as in `fields.email + account.orgs`. Other words stand for themselves. */
export type Text = string | readonly [key: string, values: Record<string, string>];

/** What a person sees after a step. */
export interface Sight {
  /** The heading. */
  title: Text;
  /** All that the page tells beside it: what was done, and what is wrong, line by line. Nothing, unless given. */
  says?: readonly Text[];
  /** A link, a button or a fold in the content that leads further. */
  on: Text;
}

export type Act = (walk: Walk) => Promise<void>;
export type Step = readonly [act: Act, sight: Sight];

/** What a person wants, and how they go about it. */
export interface Flow {
  name: string;
  /** Where the person wants to go, and must be in the end. */
  to: string | RegExp;
  needsScripts?: true;
  options?: Partial<AuthTunaOptions>;
  /** What is there before the person comes. */
  given?: Act;
  steps: readonly Step[];
}

export const EMAIL = 'ada@example.com';
const SCREENSHOTS = new URL('../e2e/screenshots/walk/', import.meta.url).pathname;
const TEXTS = { en: textsOf('en'), de: textsOf('de') };
const MOST_TABS = 100;

/** A person on the way, with what they have before them. */
export interface Walk {
  app: MailedApp;
  provider: MockProvider;
  look: Look;
  /** The page in front. */
  page: Page;
  /** Another browser of the person, which is in front from then on. */
  turnToOtherBrowser(): Promise<void>;
  /** Whether the device finds that the finger is the person's. */
  setVerified?: (isUserVerified: boolean) => Promise<void>;
  /** What the steps leave for later ones, such as the key of an authenticator app. */
  kept: Map<string, string>;
}

/** Walks a flow from its first step to its end, and looks at each page on the way. */
export async function walk(flow: Flow, look: Look, browser: Browser): Promise<void> {
  const complaints: string[] = [];
  const person = await setOut(look, browser, flow.options ?? {}, complaints);
  await flow.given?.(person);
  for (const [index, [act, sight]] of flow.steps.entries()) {
    const at = `${flow.name}, step ${index + 1}`;
    const before = await person.page.evaluate('document.body.innerText');
    const mailsBefore = person.app.mailbox.mails.length;
    await act(person).catch((error: unknown) => {
      throw new Error(`${at}: ${(error as Error).message}\nThe page was:\n${before}`);
    });
    await expectSight(person, sight, at);
    await expectMail(person, String(before), mailsBefore, at);
    await inspect(person, `${flow.name} ${index + 1}`);
    expect(complaints, at).toEqual([]);
  }
  const end = pathOf(person.page);
  if (typeof flow.to === 'string') expect(end, `the end of ${flow.name}`).toBe(flow.to);
  else expect(end, `the end of ${flow.name}`).toMatch(flow.to);
}

async function setOut(
  look: Look,
  browser: Browser,
  options: Partial<AuthTunaOptions>,
  complaints: string[],
): Promise<Walk> {
  const clock = new TestClock(new Date());
  const provider = await startMockProvider({ clock });
  onTestFinished(() => provider.close());
  const app = await startMailedApp(
    { ...options, social: { providers: [provider.provider] } },
    { clock, routes: addHost },
  );
  const open = async () => {
    const context = await browser.newContext({
      baseURL: app.url,
      javaScriptEnabled: look.scripts,
      viewport: { width: look.width, height: 800 },
      colorScheme: look.colorScheme,
      locale: look.locale === 'de' ? 'de-DE' : 'en-GB',
    });
    onTestFinished(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    listenTo(page, [app.url, provider.issuer], complaints);
    return page;
  };
  const person: Walk = {
    app,
    provider,
    look,
    page: await open(),
    async turnToOtherBrowser() {
      person.page = await open();
    },
    kept: new Map(),
  };
  return person;
}

/** The pages of the host. */
const addHost: NonNullable<Parameters<typeof startMailedApp>[1]>['routes'] = (app, authTuna) => {
  app.get('/me', authTuna.requireUser(), (req, res) => {
    const head =
      '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Host</title><style>h1 { overflow-wrap: anywhere }</style>';
    res
      .type('html')
      .send(
        `${head}<main><h1>Welcome ${req.user?.email}</h1><a href="/account/security">My account</a></main>`,
      );
  });
};

/** Collects what a browser complains about, and requests that go elsewhere. */
function listenTo(page: Page, origins: readonly string[], complaints: string[]): void {
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // A refused form is a page with a status of its own, which the browser mentions.
    if (message.type() === 'error' && !/status of (4\d\d|503)/.test(message.text()))
      complaints.push(message.text());
  });
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== 'data:' && !origins.includes(origin)) complaints.push(`foreign: ${request.url()}`);
  });
}

/** The text as the page says it. @param values without those that may be anything */
export function textOf(look: Look, text: Text): string {
  const [keys, values] = typeof text === 'string' ? [text, {}] : text;
  return keys
    .split(/( \+ |: )/)
    .map((part) => (part === ' + ' ? ' ' : (TEXTS[look.locale].get(part) ?? part)))
    .join('')
    .replace(/\{(\w+)\}/g, (whole, name: string) => (values as Record<string, string>)[name] ?? whole);
}

/** What matches that text; a place without a value may hold anything. */
function pattern(look: Look, text: Text): RegExp {
  const escaped = textOf(look, text).replace(/[.*+?^$()|[\]\\]/g, '\\$&');
  // A hidden part of a name stands apart from the rest.
  return new RegExp(`^${escaped.replace(/\{\w+\}/g, '.+').replaceAll(': ', ' ?: ')}$`, 'u');
}

/** The control that a person would take by its role and its name. */
export function control(
  { page, look }: Walk,
  role: 'link' | 'button' | 'textbox' | 'checkbox',
  name: Text,
): Locator {
  return page.getByRole(role, { name: pattern(look, name) });
}

export function fold({ page, look }: Walk, name: Text): Locator {
  return page.locator('summary:visible', { hasText: pattern(look, name) });
}

/** Presses the Tab key until the control has the focus. */
export async function tabTo({ page }: Walk, wanted: Locator): Promise<void> {
  const element = await wanted.elementHandle();
  for (let presses = 0; presses < MOST_TABS; presses += 1) {
    if (await element?.evaluate(isFocused)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`the Tab key never reached ${wanted}`);
}

/** Runs in the browser, whose types are not here. */
function isFocused(element: object): boolean {
  return (element as { ownerDocument: { activeElement: object } }).ownerDocument.activeElement === element;
}

/** Does something that opens a page, and waits for that page. */
export async function arrive({ page }: Walk, act: () => Promise<unknown>): Promise<void> {
  await Promise.all([
    page.waitForEvent('framenavigated', { predicate: (frame) => frame === page.mainFrame() }),
    act(),
  ]);
  await page.waitForLoadState('load');
}

interface Seen {
  title: string;
  says: string[];
  language: string;
  overflow: number;
  /** Names of buttons that do different things. */
  twins: string[];
}

const SEE = `(() => {
  const linesOf = (element) => element.innerText.split('\\n').map((line) => line.trim()).filter(Boolean);
  const buttons = [...document.querySelectorAll('form button:not([type])')];
  const nameOf = (button) => button.textContent.trim();
  return {
    title: document.querySelector('h1')?.innerText.replaceAll('\\u00ad', ''),
    says: [...document.querySelectorAll('[role=status], [role=alert]')].flatMap(linesOf),
    language: document.documentElement.lang,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    twins: buttons.filter((one) => buttons.some((other) => nameOf(one) === nameOf(other) && one.form.action !== other.form.action)).map(nameOf),
  };
})()`;

async function expectSight(person: Walk, { title, says = [], on }: Sight, at: string): Promise<void> {
  const { page, look } = person;
  const isAsWanted = (seen: Seen) =>
    pattern(look, title).test(seen.title) &&
    seen.says.length === says.length &&
    says.every((text, index) => pattern(look, text).test(seen.says[index] ?? ''));
  let seen = (await page.evaluate(SEE)) as Seen;
  // A passkey is answered on the page that asked for it.
  for (let rounds = 0; look.scripts && rounds < 100 && !isAsWanted(seen); rounds += 1) {
    await page.waitForTimeout(20);
    seen = (await page.evaluate(SEE)) as Seen;
  }
  if (!isAsWanted(seen)) {
    const wanted = { title: textOf(look, title), says: says.map((text) => textOf(look, text)) };
    expect({ title: seen.title, says: seen.says }, at).toEqual(wanted);
  }
  const main = page.locator('main, body:not(:has(main))');
  const name = pattern(look, on);
  const ways = main.getByRole('link', { name }).or(main.getByRole('button', { name })).or(fold(person, on));
  if (!(await ways.first().isVisible()))
    throw new Error(`${at}: no way on by ${textOf(look, on)} in\n${await page.innerText('body')}`);
  const isOurs = page.url().startsWith(person.app.url) && !page.url().includes('/me?');
  if (isOurs) expect(seen.language, at).toBe(look.locale);
  expect([at, seen.overflow, seen.twins]).toEqual([at, 0, []]);
}

/** A page that begins to announce a message has one in the outbox. */
async function expectMail(person: Walk, before: string, mailsBefore: number, at: string): Promise<void> {
  const now = await person.page.innerText('body');
  const announces = (text: string) =>
    ANNOUNCEMENTS.some((key) => new RegExp(pattern(person.look, key).source, 'um').test(text));
  if (!announces(now) || announces(before)) return;
  await person.app.authTuna.mailer.deliver();
  expect(person.app.mailbox.mails.length, `${at}: announces a mail`).toBeGreaterThan(mailsBefore);
}

const ANNOUNCEMENTS = [...TEXTS.en]
  .filter(([key, text]) => /^(pages|messages|notices)\./.test(key) && /^We sent|on its way/.test(text))
  .map(([key]) => key);

const inspected = new Set<string>();

/** Photographs a page that was not yet seen, with WALK=all in this look, and has axe look at it where it can. */
async function inspect({ page, look }: Walk, name: string): Promise<void> {
  const { title, says } = (await page.evaluate(SEE)) as Seen;
  const { pathname } = new URL(page.url());
  const state = JSON.stringify([
    pathname,
    title,
    says.length,
    process.env.WALK === 'all' ? look : look.scripts,
  ]);
  if (inspected.has(state)) return;
  inspected.add(state);
  mkdirSync(SCREENSHOTS, { recursive: true });
  const kind = `${look.width}-${look.colorScheme}-${look.locale}${look.scripts ? '' : '-plain'}`;
  await page.screenshot({
    path: `${SCREENSHOTS}${name.replace(/\W+/g, '-')}-${kind}.png`,
    fullPage: true,
  });
  if (!look.scripts) return;
  await page.evaluate(`${axe.source}; 0`);
  const faults = await page.evaluate(
    "axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations.filter((v) => /serious|critical/.test(v.impact)).map((v) => v.id + ': ' + v.nodes.map((n) => n.target).join(' ')))",
  );
  expect([name, kind, faults]).toEqual([name, kind, []]);
}

function pathOf(page: Page): string {
  const { pathname, search } = new URL(page.url());
  return pathname + search;
}

/** All texts of a language by their keys. */
function textsOf(locale: string): Map<string, string> {
  const file = new URL(`../../templates/locales/${locale}.json`, import.meta.url);
  const all = (value: unknown, key: string): [string, string][] =>
    typeof value === 'string'
      ? [[key, value]]
      : Object.entries(value as object).flatMap(([name, each]) =>
          all(each, key === '' ? name : `${key}.${name}`),
        );
  return new Map(all(JSON.parse(readFileSync(file, 'utf8')), ''));
}

/** Opens an address, as a link elsewhere or a typed address would. */
export function opens(path: string): Act {
  return (person) => arrive(person, () => person.page.goto(path));
}

/** Follows the link with this name. */
export function follows(name: Text): Act {
  return (person) => take(person, 'link', name);
}

/** Presses the button with this name, which opens a page. */
export function presses(name: Text): Act {
  return (person) => take(person, 'button', name);
}

/** Presses the button with this name, whose answer comes on the same page. */
export function pressesHere(name: Text): Act {
  return async (person) => {
    await tabTo(person, control(person, 'button', name));
    await person.page.keyboard.press('Enter');
  };
}

async function take(person: Walk, role: 'link' | 'button', name: Text): Promise<void> {
  await tabTo(person, control(person, role, name));
  await arrive(person, () => person.page.keyboard.press('Enter'));
}

/** Opens a fold. */
export function unfolds(name: Text): Act {
  return async (person) => {
    await tabTo(person, fold(person, name));
    await person.page.keyboard.press('Enter');
  };
}

export type Typed = string | ((person: Walk) => string | Promise<string>);

/** Types into fields by their labels, in place of what is there, and sends the form with the Enter key. */
export function fills(fields: Record<string, Typed>): Act {
  return async (person) => {
    for (const [label, typed] of Object.entries(fields)) {
      const value = typeof typed === 'string' ? typed : await typed(person);
      await tabTo(person, control(person, 'textbox', label));
      await person.page.keyboard.press('Control+A');
      await person.page.keyboard.insertText(value);
    }
    await arrive(person, () => person.page.keyboard.press('Enter'));
  };
}

/** Opens the link to that path in the newest mail. */
export function opensMail(path: string, to = EMAIL): Act {
  return async (person) => {
    const link = linkIn(await person.app.mailTo(to), path);
    await arrive(person, () => person.page.goto(link));
  };
}

/** Does several things one after the other; only the last one is looked at. */
export function first(...acts: readonly Act[]): Act {
  return async (person) => {
    for (const act of acts) await act(person);
  };
}

/** Keeps the text of an element for later steps, as a person does who copies it. */
export function copies(selector: string, name: string): Act {
  return async ({ page, kept }) => {
    kept.set(name, ((await page.locator(selector).first().textContent()) ?? '').replace(/\s/g, ''));
  };
}

/** Lets time pass. */
export function waits(time: Parameters<TestClock['advance']>[0]): Act {
  return async ({ app }) => app.clock.advance(time);
}

/** Goes on in another browser, which was never here. */
export const elsewhere: Act = (person) => person.turnToOtherBrowser();

/** Goes back with the button of the browser. */
export const goesBack: Act = (person) => arrive(person, () => person.page.goBack());

/** Gives the browser a place for passkeys; it makes no offer below the field, which it would accept by itself. */
export const hasAuthenticator: Act = async (person) => {
  await person.page.addInitScript(
    'if (window.PublicKeyCredential) PublicKeyCredential.isConditionalMediationAvailable = async () => false;',
  );
  const device = await person.page.context().newCDPSession(person.page);
  await device.send('WebAuthn.enable');
  const { authenticatorId } = await device.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  person.setVerified = async (isUserVerified) => {
    await device.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
  };
};

/** From now on the person cancels when the device asks for their finger, or no longer does. */
export function cancelsPasskeys(cancels: boolean): Act {
  return async ({ setVerified }) => setVerified?.(!cancels);
}
