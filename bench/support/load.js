// A small keep-alive HTTP client over node:net. It costs a few microseconds a request, so that one core of load
// is not the bottleneck for one core of server. One request at a time per connection, no pipelining.

import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';

export const USER_AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

// Some of what every browser sends: parsing it belongs to the cost of a request.
const BROWSER = {
  'User-Agent': USER_AGENT,
  Accept: 'application/json',
  'Accept-Language': 'en',
  'Sec-Fetch-Site': 'same-origin',
  'Sec-Fetch-Mode': 'cors',
  'Sec-Fetch-Dest': 'empty',
};
const HEADER_END = Buffer.from('\r\n\r\n');
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n');

/** The cookies of one browser, which all its requests send and are answered with. `forgets` names those it does not keep. */
export class Jar {
  #cookies = new Map();
  #forgets;
  version = 0;
  cookiesSet = 0;

  constructor(cookie = '', forgets = []) {
    this.#forgets = forgets;
    for (const pair of cookie.split('; ').filter(Boolean)) this.#keep(pair);
  }

  /** Takes the values of the Set-Cookie headers of an answer. */
  receive(setCookies) {
    this.cookiesSet += 1;
    for (const line of setCookies) this.#keep(line.split(';', 1)[0]);
  }

  toString() {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  #keep(pair) {
    const at = pair.indexOf('=');
    const name = pair.slice(0, at);
    if (this.#forgets.includes(name)) return;
    this.#cookies.set(name, pair.slice(at + 1));
    this.version += 1;
  }
}

/** A request that is sent again and again. */
export class Request {
  jar;
  #start;
  #headers;
  #body;
  #bytes;
  #version = -1;

  constructor({ host, method = 'GET', path, headers = {}, body, jar }) {
    this.jar = jar;
    this.#start = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n`;
    this.#headers = { ...BROWSER, ...headers, ...(body && { 'Content-Type': 'application/json' }) };
    this.#body = body ? JSON.stringify(body) : '';
  }

  get bytes() {
    if (this.#version !== this.jar.version) this.#compose();
    return this.#bytes;
  }

  #compose() {
    const headers = { ...this.#headers };
    const cookie = String(this.jar);
    if (cookie !== '') headers.Cookie = cookie;
    if (this.#body) headers['Content-Length'] = Buffer.byteLength(this.#body);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#bytes = Buffer.from(`${this.#start}${lines.join('')}\r\n${this.#body}`);
    this.#version = this.jar.version;
  }
}

class Connection {
  #socket;
  #pending = Buffer.alloc(0);
  #current = null;

  constructor(port) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk) => this.#read(chunk));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('the server closed the connection')));
  }

  /** Sends one request and calls `done` when its answer is complete, with an error when that is not a success. */
  send(request, done) {
    this.#current = { request, done };
    this.#socket.write(request.bytes);
  }

  close() {
    this.#current = null;
    this.#socket.destroy();
  }

  #fail(error) {
    const current = this.#current;
    this.#current = null;
    current?.done(error);
  }

  #read(chunk) {
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const end = bytes.indexOf(HEADER_END);
    const head = end === -1 ? '' : bytes.latin1Slice(0, end);
    const total = end === -1 ? Number.POSITIVE_INFINITY : end + bodyEnd(head, bytes.subarray(end));
    if (bytes.length < total) {
      this.#pending = bytes;
      return;
    }
    this.#pending = bytes.subarray(total);
    const { request, done } = this.#current;
    this.#current = null;
    if (/\r\nset-cookie: /i.test(head)) {
      request.jar.receive([...head.matchAll(/\r\nset-cookie: ([^\r]*)/gi)].map((match) => match[1]));
    }
    const status = Number(head.slice(9, 12)); // HTTP/1.1 200 OK
    if (status >= 200 && status < 300) done(null);
    else done(Object.assign(new Error(`unexpected answer: ${bytes.toString('utf8', 0, 1000)}`), { status }));
  }
}

/** How many bytes after the header's last line the answer ends; `rest` begins with the empty line. */
function bodyEnd(head, rest) {
  const length = /\r\ncontent-length: (\d+)/i.exec(head);
  if (length) return HEADER_END.length + Number(length[1]);
  if (!/\r\ntransfer-encoding: chunked/i.test(head)) return HEADER_END.length;
  // Only JSON comes chunked here, and JSON holds no raw line breaks that could look like the last chunk.
  const last = rest.indexOf(LAST_CHUNK);
  return last === -1 ? Number.POSITIVE_INFINITY : last + LAST_CHUNK.length;
}

/** Opens `count` connections for as long as `work` takes. */
async function withConnections(port, count, work) {
  const open = Array.from({ length: count }, () => new Connection(port));
  try {
    return await work(open);
  } finally {
    for (const connection of open) connection.close();
  }
}

/** Value below which the fraction `part` of the sorted numbers lies. */
export function percentile(sorted, part) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

function summary(latencies, seconds) {
  const sorted = Float64Array.from(latencies).sort();
  return {
    answers: sorted.length,
    perSecond: sorted.length / seconds,
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
  };
}

const REFUSALS = [429, 503];

/** Lets every connection send, one request after the other, until `next()` gives none. */
function drive(connections, next, { mayRefuse = false, onAnswer = () => {} } = {}) {
  const run = (connection) =>
    new Promise((resolve, reject) => {
      const turn = () => {
        const request = next();
        if (request === null) return resolve();
        const sent = performance.now();
        connection.send(request, (error) => {
          if (error && !(mayRefuse && REFUSALS.includes(error.status))) return reject(error);
          onAnswer(performance.now() - sent);
          turn();
        });
      };
      turn();
    });
  return Promise.all(connections.map(run));
}

/** Sends each request once and resolves when every answer is there. */
export function sendEach(port, requests) {
  let index = 0;
  return withConnections(port, 16, (connections) => drive(connections, () => requests[index++] ?? null));
}

/**
 * Keeps every connection busy for `seconds`, going round the requests: throughput, and latency at saturation in ms.
 *
 * With `mayRefuse`, a 503 or 429 is an answer like any other.
 */
export function saturate(port, requests, { seconds, connections = 32, mayRefuse = false }) {
  return withConnections(port, connections, async (open) => {
    const latencies = [];
    const start = performance.now();
    let index = 0;
    const next = () =>
      performance.now() - start < seconds * 1000 ? requests[index++ % requests.length] : null;
    await drive(open, next, { mayRefuse, onAnswer: (latency) => latencies.push(latency) });
    return summary(latencies, (performance.now() - start) / 1000);
  });
}

/**
 * Sends `perSecond` requests a second whether or not earlier ones were answered, for `seconds`: latency in ms.
 *
 * A request that finds every connection busy waits, and its waiting counts.
 */
export function atRate(port, requests, { perSecond, seconds, connections = 128 }) {
  return withConnections(port, connections, async (open) => {
    const idle = [...open];
    const waiting = [];
    const latencies = [];
    const total = Math.round(perSecond * seconds);
    const start = performance.now();
    let due = 0;
    await new Promise((resolve, reject) => {
      const serve = (connection, { since, request }) => {
        connection.send(request, (error) => {
          if (error) return reject(error);
          latencies.push(performance.now() - since);
          const queued = waiting.shift();
          if (queued) serve(connection, queued);
          else idle.push(connection);
          if (latencies.length === total) resolve();
        });
      };
      const tick = () => {
        const since = performance.now();
        for (; due < total && since >= start + (due * 1000) / perSecond; due++) {
          const job = { since, request: requests[due % requests.length] };
          const connection = idle.shift(); // in turn, so that none is idle for so long that the server closes it
          if (connection) serve(connection, job);
          else waiting.push(job);
        }
        if (due < total) setTimeout(tick, 1);
      };
      tick();
    });
    return summary(latencies, (performance.now() - start) / 1000);
  });
}
