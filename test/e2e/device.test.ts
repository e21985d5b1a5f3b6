import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { expect, onTestFinished, test } from 'vitest';
import { SYSTEM } from '../../src/index.js';
import { PASSWORD, startApp } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';

const SCREENSHOTS = new URL('./screenshots/', import.meta.url).pathname;
const CLI = fileURLToPath(new URL('../../examples/api-only/cli.js', import.meta.url));

test('the command-line tool of the example is approved in a browser and reads what it asked for', async () => {
  const app = await startApp(
    { clock: { now: () => new Date() }, appName: 'Harbour' }, // the tool waits by its own clock
    {
      routes(host, authTuna) {
        host.get(
          '/notes',
          authTuna.requirePermission('note:read'),
          (_req, res) => void res.json({ items: ['sardines'] }),
        );
      },
    },
  );
  const { authTuna, url } = app;
  const email = 'grace@example.com';
  const { id: userId } = await authTuna.users.create({ email, password: PASSWORD, emailVerified: true });
  await authTuna.roles.create({ name: 'reader', permissions: ['note:read'] });
  await authTuna.roles.assign({ userId, role: 'reader', scope: 'global' }, SYSTEM);

  const tool = spawn(process.execPath, [CLI, url]);
  onTestFinished(() => void tool.kill());
  const exited = once(tool, 'exit');
  let said = '';
  tool.stdout.on('data', (chunk) => {
    said += chunk;
  });
  await once(tool.stdout, 'data');
  const [, code = ''] = /type ([A-Z]{4}-[A-Z]{4})/.exec(said) ?? [];

  const page = await (await (await launchChromium()).newContext()).newPage();
  const look = async (name: string) => {
    mkdirSync(SCREENSHOTS, { recursive: true });
    for (const width of [360, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      await page.screenshot({ path: `${SCREENSHOTS}${name}-${width}.png`, fullPage: true });
      const overflow = await page.evaluate(
        'document.documentElement.scrollWidth - document.documentElement.clientWidth',
      );
      await page.evaluate(`${axe.source}; 0`);
      const violations = await page.evaluate(
        "axe.run(document).then((r) => r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.target).join(' ')))",
      );
      expect([name, width, overflow, violations]).toEqual([name, width, 0, []]);
    }
  };
  await page.goto(`${url}/auth/device`); // by way of the sign-in page
  await page.getByLabel('Email or username').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByLabel('Code of the tool').waitFor();
  await look('device-enter');
  await page.getByLabel('Code of the tool').fill(code.toLowerCase());
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('notes-cli').waitFor();
  await look('device-confirm');
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.getByText('The tool is connected').waitFor();
  await look('device-done');
  const [exitCode] = await exited;
  expect([exitCode, said.includes('sardines')]).toEqual([0, true]);
}, 120_000);
