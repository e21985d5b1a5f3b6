import type { Brand, Palette } from '../config/options.js';

/** The host's colors: checked, made readable where only one was given, and written as CSS variables. */

const VARIABLES = {
  accent: '--accent',
  onAccent: '--on-accent',
  background: '--background',
  surface: '--surface',
  text: '--text',
  muted: '--muted',
  border: '--border',
  danger: '--danger',
  success: '--success',
} as const satisfies Record<keyof Palette, string>;

const SURFACES = { light: '#ffffff', dark: '#161b23' }; // as in authtuna.css
const FRAMES = { light: '#f4f6f9', dark: '#0d1117' }; // as in authtuna.css
const DEFAULT_ACCENT = '#2350c8'; // as in authtuna.css
const READABLE = 4.5; // WCAG 2.2 1.4.3, AA for text
const READABLE_LINK = 5.5; // links also stand on surfaces tinted with the accent

/**
 * The stylesheet that turns the brand's colors into variables, for light and dark.
 *
 * An accent given for light only is lightened for dark until it reads well there; links use a shade of it that
 * reaches a contrast of 5.5 on the surface.
 * @throws Error naming the color that is not `#rrggbb` or not known
 */
export function themeCss(brand: Brand = {}): string {
  const light = checked('light', brand.colors?.light);
  const dark = checked('dark', brand.colors?.dark);
  if (light.accent !== undefined && dark.accent === undefined) {
    dark.accent = readable(light.accent, dark.surface ?? SURFACES.dark);
  }
  return [
    `@media (prefers-color-scheme: light) { :root {${declarations(light, SURFACES.light)}} }`,
    `@media (prefers-color-scheme: dark) { :root {${declarations(dark, SURFACES.dark)}} }`,
    '',
  ].join('\n');
}

/** The color of the browser's own frame, for light and dark: that of the page's background. */
export function frameColors(brand: Brand = {}): { light: string; dark: string } {
  const { light, dark } = brand.colors ?? {};
  return { light: light?.background ?? FRAMES.light, dark: dark?.background ?? FRAMES.dark };
}

/** The two colors mails need as values, because mail programs know no variables. */
export function mailColors(brand: Brand = {}): { accent: string; onAccent: string } {
  const { accent = DEFAULT_ACCENT, onAccent } = checked('light', brand.colors?.light);
  return { accent, onAccent: onAccent ?? textOn(accent) };
}

function checked(scheme: 'light' | 'dark', palette: Palette = {}): Palette {
  for (const [name, value] of Object.entries(palette)) {
    if (!Object.hasOwn(VARIABLES, name)) {
      throw new Error(
        `brand.colors.${scheme}.${name} is not a color of the theme; use one of: ${Object.keys(VARIABLES).join(', ')}`,
      );
    }
    if (value !== undefined && !/^#[0-9a-f]{6}$/i.test(value)) {
      throw new Error(`brand.colors.${scheme}.${name}: ${JSON.stringify(value)} is not written as #rrggbb`);
    }
  }
  return { ...palette };
}

function declarations(palette: Palette, defaultSurface: string): string {
  const lines = Object.entries(VARIABLES)
    .filter(([name]) => palette[name as keyof Palette] !== undefined)
    .map(([name, variable]) => `${variable}: ${palette[name as keyof Palette]};`);
  if (palette.accent !== undefined) {
    if (palette.onAccent === undefined) lines.push(`--on-accent: ${textOn(palette.accent)};`);
    lines.push(`--link: ${readable(palette.accent, palette.surface ?? defaultSurface)};`);
  }
  return lines.length === 0 ? '' : ` ${lines.join(' ')} `;
}

/** White where it reads well, else black, which then does: one of the two always reaches 4.5. */
function textOn(color: string): string {
  return contrast(color, '#ffffff') >= READABLE ? '#ffffff' : '#000000';
}

/** The color itself, or the nearest mix with black or white that can be read on the surface. */
function readable(color: string, surface: string): string {
  const towards = textOn(surface);
  for (let share = 0; share < 1; share += 0.05) {
    const mixed = mix(color, towards, share);
    if (contrast(mixed, surface) >= READABLE_LINK) return mixed;
  }
  return towards;
}

function mix(a: string, b: string, share: number): string {
  const other = channels(b);
  return `#${channels(a)
    .map((channel, i) =>
      Math.round(channel + ((other[i] ?? 0) - channel) * share)
        .toString(16)
        .padStart(2, '0'),
    )
    .join('')}`;
}

function channels(color: string): number[] {
  return [1, 3, 5].map((start) => Number.parseInt(color.slice(start, start + 2), 16));
}

/** WCAG 2.2 contrast ratio, 1 to 21. */
function contrast(a: string, b: string): number {
  const [lighter = 0, darker = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (lighter + 0.05) / (darker + 0.05);
}

function luminance(color: string): number {
  const [r = 0, g = 0, b = 0] = channels(color).map((channel) => {
    const s = channel / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
