import { mkdirSync } from 'node:fs';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';

const SCREENSHOTS = new URL('../e2e/screenshots/', import.meta.url).pathname;

/** A page as people see it: on a phone and at a desk, light and dark. */
export type Look = readonly [width: number, colorScheme: 'light' | 'dark'];

/** Each width and each color once; all four with `LOOKS=all`. */
export const LOOKS: readonly Look[] =
  process.env.LOOKS === 'all'
    ? [
        [360, 'light'],
        [360, 'dark'],
        [1280, 'light'],
        [1280, 'dark'],
      ]
    : [
        [360, 'light'],
        [1280, 'dark'],
      ];

/** Photographs the page in each look; it must fit, and axe must find nothing. */
export async function look(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  for (const [width, colorScheme] of LOOKS) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    await page.screenshot({ path: `${SCREENSHOTS}${name}-${width}-${colorScheme}.png`, fullPage: true });
    const overflow = await page.evaluate(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    );
    expect([name, width, overflow]).toEqual([name, width, 0]);
    await page.evaluate(`${axe.source}; 0`);
    const violations = await page.evaluate(
      "axe.run(document).then((r) => r.violations.map((v) => v.impact + ' ' + v.id + ': ' + v.nodes.map((n) => n.target).join(' ')))",
    );
    expect([name, width, colorScheme, violations]).toEqual([name, width, colorScheme, []]);
  }
}
