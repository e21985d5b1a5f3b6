import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A TCP proxy on loopback that misbehaves on demand.
 *
 * For HTTP, one request a connection, the request asks for its fault in a header: `x-fault: drop-answer` (the request arrives, its answer is
 * lost), `stall-request` (it waits here until `release`), `delay-answer` (by 0.3 s). For a database the whole proxy goes `down` or stalls.
 */
export class FaultProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #abandoned = new WeakSet<Socket>();
  readonly #stalled = new Set<() => void>();
  #target: number;
  #isDown = false;
  #isStalling = false;

  constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#serve(client));
  }

  async start(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this.port;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  retarget(port: number): void {
    this.#target = port;
  }

  /** Lets the requests through that were stalled. */
  release(): void {
    for (const go of this.#stalled) go();
    this.#stalled.clear();
  }

  /** Breaks every connection, and every new one, until `up`. */
  down(): void {
    this.#isDown = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Keeps connections, and passes nothing on, until `up`. */
  stall(): void {
    this.#isStalling = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Passes nothing on any more over the connections that there are, and leaves them open; new ones work. As when a machine is gone. */
  abandon(): void {
    for (const socket of this.#sockets) {
      socket.pause();
      this.#abandoned.add(socket);
    }
  }

  up(): void {
    this.#isDown = false;
    if (!this.#isStalling) return;
    this.#isStalling = false;
    for (const socket of this.#sockets) if (!this.#abandoned.has(socket)) socket.resume();
  }

  async close(): Promise<void> {
    this.release();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #serve(client: Socket): void {
    this.#track(client);
    if (this.#isDown) return void client.destroy();
    client.once('data', (first) => {
      const fault = /^x-fault: ([\w-]+)\r?$/im.exec(first.toString('latin1'))?.[1];
      client.pause();
      if (fault === 'stall-request') this.#stalled.add(() => this.#forward(client, first, fault));
      else this.#forward(client, first, fault);
    });
    if (this.#isStalling) client.pause();
  }

  #forward(client: Socket, first: Buffer, fault: string | undefined): void {
    if (client.destroyed) return;
    const upstream = connect(this.#target, '127.0.0.1');
    this.#track(upstream);
    upstream.once('close', () => client.destroy());
    client.once('close', () => upstream.destroy());
    upstream.write(first);
    client.on('data', (chunk) => upstream.write(chunk));
    client.once('end', () => upstream.end());
    upstream.once('end', () => client.end());
    upstream.on('data', (chunk) => {
      if (fault === 'drop-answer') client.destroy();
      else if (fault === 'delay-answer') setTimeout(() => client.write(chunk), 300);
      else client.write(chunk);
    });
    client.resume();
    if (this.#isStalling) for (const socket of [client, upstream]) socket.pause();
  }
}
