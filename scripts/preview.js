// Renders every page and mail with sample data, to look at them: node scripts/preview.js <folder> [templatesDir]
// Reads dist/, so run `npm run build` first. With --serve, the folder is served on a loopback port under the
// Content-Security-Policy of the real pages, and the port is printed.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createTemplates } from '../dist/templates/templates.js';
import { mailSamples, pageSamples } from './preview-data.js';

const CSP =
  "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const [folder, templatesDir] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
if (folder === undefined) {
  console.error('usage: node scripts/preview.js <folder> [templatesDir] [--serve]');
  process.exit(2);
}

const templates = createTemplates({ appName: 'Harbour', baseUrl: 'http://localhost', templatesDir });
const files = new Map();
for (const { name, variant, data } of pageSamples) {
  files.set(`pages/${name.replaceAll('/', '-')}.${variant}.html`, templates.renderPage(name, data));
}
for (const { name, variant, data } of mailSamples) {
  const mail = templates.renderMail(name, data);
  files.set(`mails/${name}.${variant}.html`, mail.html);
  files.set(`mails/${name}.${variant}.txt`, `Subject: ${mail.subject}\n\n${mail.text}`);
}

for (const [file, body] of files) {
  const path = join(folder, file);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, body);
}
console.log(`${files.size} files in ${folder}`);

if (process.argv.includes('--serve')) {
  const server = createServer((req, res) => {
    const { pathname } = new URL(req.url ?? '/', 'http://localhost');
    const asset = pathname.startsWith('/auth/assets/')
      ? templates.asset(pathname.slice('/auth/assets/'.length))
      : null;
    const file = files.get(pathname.slice(1));
    if (asset !== null) return res.setHeader('content-type', asset.contentType).end(asset.body);
    if (file === undefined) return res.writeHead(404).end();
    // Mails carry their styles with them; in a mailbox there is no such policy.
    if (pathname.startsWith('/pages/')) res.setHeader('content-security-policy', CSP);
    res
      .setHeader('content-type', `text/${pathname.endsWith('.txt') ? 'plain' : 'html'}; charset=utf-8`)
      .end(file);
  });
  server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
}
