import dns from 'node:dns';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { isAllowedUrl, outbound } from '../../src/net/outbound.js';

const DEVELOPMENT = { allowLoopback: true, publicOnly: false };
const PRODUCTION = { allowLoopback: false, publicOnly: false };
const TENANT = { allowLoopback: false, publicOnly: true };

async function startServer(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('an answer is returned with its status, its text, and its JSON where it is JSON', async () => {
  const url = await startServer((req, res) =>
    res.writeHead(req.url === '/json' ? 400 : 200).end(req.url === '/json' ? '{"error":"x"}' : 'a.b.c'),
  );
  expect(await outbound(`${url}/json`, {}, DEVELOPMENT)).toEqual({
    status: 400,
    body: '{"error":"x"}',
    json: { error: 'x' },
  });
  expect(await outbound(`${url}/text`, {}, DEVELOPMENT)).toEqual({ status: 200, body: 'a.b.c', json: null });
});

test.each([
  ['http://idp.example/', 'not https'],
  ['ftp://idp.example/', 'not https'],
  ['javascript:alert(1)', 'not https'],
  ['https://user:secret@idp.example/', 'credentials'],
  ['http://localhost:1/', 'http in production, also on this machine'],
])('%s is not asked: %s (OA-9)', async (url) => {
  expect(isAllowedUrl(url, PRODUCTION)).toBe(false);
  await expect(outbound(url, {}, PRODUCTION)).rejects.toMatchObject({ code: 'unavailable' });
});

test.each([
  'https://localhost/',
  'https://127.0.0.1/',
  'https://127.1/',
  'https://2130706433/',
  'https://0x7f000001/',
  'https://017700000001/',
  'https://[::1]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:0:127.0.0.1]/',
  'https://[64:ff9b::a9fe:a9fe]/',
  'https://10.0.0.1/',
  'https://169.254.169.254/latest/meta-data/',
  'https://168.63.129.16/machine',
  'https://[fd00:ec2::254]/',
])('%s is not asked for a tenant (OA-9)', (url) => {
  expect(isAllowedUrl(url, TENANT)).toBe(false);
});

test.each([
  [['127.0.0.1']],
  [['169.254.169.254']],
  [['::1']],
  [['::ffff:10.0.0.1']],
  [['8.8.8.8', '10.0.0.1']],
  [['2606:4700:4700::1111', 'fd00::1']],
  [[]],
])('a name of a tenant that resolves to %j is not connected to (OA-9)', async (addresses) => {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  const lookup = vi
    .spyOn(dns, 'lookup')
    .mockImplementation(((_name: string, _options: object, callback: (error: null, all: object[]) => void) =>
      callback(null, found)) as unknown as typeof dns.lookup);
  onTestFinished(() => lookup.mockRestore());
  const asked = outbound('https://idp.example/', {}, TENANT);
  await expect(asked).rejects.toMatchObject({
    code: 'unavailable',
    cause: { message: expect.stringMatching(/^idp\.example (is not a public|has no) address$/) },
  });
  expect(lookup).toHaveBeenCalledOnce();
});
