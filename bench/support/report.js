/** Middle value; of an even number of values the upper one of the two in the middle. */
export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** A Markdown table; the first column is text, the others are aligned to the right. */
export function table(columns, rows) {
  const rule = columns.map((_, index) => (index === 0 ? '---' : '---:'));
  return [columns, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export const milliseconds = (value) => (value < 100 ? value.toFixed(2) : value.toFixed(0));
export const mebibytes = (bytes) => (bytes / 2 ** 20).toFixed(0);
export const whole = (value) => Math.round(value).toLocaleString('en-US');
export const ratio = (value) => value.toFixed(2);
