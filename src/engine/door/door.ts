/**
 * The door: one socket of Node's accepts every connection of a listener. The first bytes are looked at without being taken, and the
 * connection goes to the engine that serves it best. Until then it is a descriptor that belongs to the door.
 */
import { createServer, type Server, Socket } from 'node:net';
import type { UwsModule } from '../../ops/addons/addon.ts';
import { openFilesLimit } from '../../ops/system/proc.ts';
import { BROKEN, type Descriptors, NOTHING_YET } from '../descriptors.ts';
import {
  type EngineEvents,
  type EngineWish,
  ListenError,
  type ListenerFacts,
  type Listening,
  type ListenOptions,
} from '../engine.ts';
import type { NodeServer } from '../node/node.ts';
import { OpenConnections } from '../open-connections.ts';
import { type AcceptedConnection, directPeer, ownAddress, type Peer, peerAt } from '../peer.ts';
import { UwsServer } from '../uws/uws.ts';
import { acceptDescriptors, descriptorOf } from './accepting.ts';
import { readClientHello } from './client-hello.ts';
import { judgeFirstRequest } from './first-request.ts';
import { listen } from './listen.ts';
import { checkPort, freeUnixPath, listenError } from './listen-errors.ts';
import { takePreface } from './preface.ts';
import { uwsCanServe } from './tls-choice.ts';

/**
 * How long the kernel keeps a connection on which nothing has come, before it is accepted all the same, seconds. A preconnection of a browser
 * is mostly used by then, and meets `uws`; one that stays silent gets to `node`, which has a deadline for that.
 */
const DEFER = 3;
/**
 * When a head that has not come whole is looked at again, milliseconds. The pieces of one come together, or from a client that writes word by word:
 * that one is served by `node`, which can wait without looking.
 */
const LOOK_AGAIN_AFTER = [0, 1, 2, 4, 8, 16] as const;

/**
 * Connections beyond the limit are told so only while this many files can still be opened: the first ones of all have the engine loaded that tells
 * them, file by file, and Node never loads again what it could not open.
 */
const FILES_KEPT = 40;

/** Puts a connection's descriptor where it is served. */
type Adopt = (descriptor: number, peer: Peer) => void;

/** What a connection can be handed to uWebSockets.js with. */
export interface NativeParts {
  readonly uws: UwsModule;
  readonly descriptors: Descriptors;
}

/** Accepts, and hands on. */
export class Door {
  /** Undefined once it is another door's. */
  private server: Server | undefined;
  /** Those that are Node's: being served by its engine, or being loaded for. */
  private readonly open = new Map<Socket, AcceptedConnection>();
  /** Those that are nobody's yet, by their descriptors: the first bytes have not all come, or the engine is being loaded. */
  private readonly waiting = new Map<number, AcceptedConnection>();
  private readonly connections: OpenConnections;
  private readonly local: string | undefined;
  private readonly facts: { -readonly [K in keyof ListenerFacts]: ListenerFacts[K] };
  private uws: UwsServer | undefined;
  private node: NodeServer | undefined;
  private loading: Promise<NodeServer> | undefined;
  private stopped = false;
  /** Has Node accept again. */
  private acceptSockets: () => void = () => {};
  /** A descriptor from this number on is one of the last. */
  private readonly lastDescriptors = (openFilesLimit() ?? Number.POSITIVE_INFINITY) - FILES_KEPT;

  /** @param native undefined where `node` serves everything */
  constructor(
    private readonly wish: EngineWish,
    private readonly native: NativeParts | undefined,
    private readonly options: ListenOptions,
    private readonly events: EngineEvents,
  ) {
    this.facts = { name: options.name, secure: options.tls !== undefined, port: undefined };
    this.local = ownAddress(options.address);
    this.connections = new OpenConnections(() => this.dropAll());
  }

  /** Rejects with a `ListenError`. */
  async listen(inPlaceOf: Listening | undefined): Promise<Listening> {
    const { name, address } = this.options;
    checkPort(name, address);
    if (address.kind === 'unix' && inPlaceOf === undefined) await freeUnixPath(name, address.path);
    // Whatever can fail does so before anybody can connect.
    if (this.native === undefined) await this.loadNode();
    else this.uws = await UwsServer.start(this.native, this.options, this.shared(), this.facts);
    const server = await this.openSocket(inPlaceOf);
    this.server = server;
    server.on('connection', this.accepts);
    server.on('error', this.failed);
    const bound = server.address();
    const port = typeof bound === 'object' ? bound?.port : undefined;
    this.facts.port = port;
    if (this.native !== undefined) this.setUp(server, this.native.descriptors, inPlaceOf !== undefined);
    this.options.tls?.watch();
    const stop = () => this.stop();
    const close = () => {
      stop();
      this.dropAll();
    };
    const handOn = () => this.handOn();
    const { finished } = this.connections;
    const load = () => this.connections.load();
    // What was left for the last connections.
    void finished.then(stop);
    const engine = this.native === undefined ? 'node' : this.wish;
    return { engine, name, secure: this.facts.secure, port, stop, handOn, finished, load, close };
  }

  private async openSocket(inPlaceOf: Listening | undefined): Promise<Server> {
    const { name, address } = this.options;
    try {
      if (inPlaceOf !== undefined) return inPlaceOf.handOn();
      // A client that has shut its sending side is answered all the same: see `Connection.halfClosed`.
      const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
      await listen(server, name, address);
      return server;
    } catch (error) {
      // Neither may look after anything any more: the listener is tried again with others.
      this.uws?.stop();
      this.node?.stop();
      this.connections.stop();
      throw error instanceof ListenError ? error : listenError(name, error);
    }
  }

  /** For the next door. Whatever this one has set up on the socket is taken off again. */
  private handOn(): Server {
    const { server } = this;
    if (server === undefined || this.stopped) throw new Error(`${this.options.name} does not listen any more`);
    this.server = undefined;
    server.off('connection', this.accepts);
    server.off('error', this.failed);
    this.acceptSockets();
    if (this.facts.port !== undefined && this.looks) this.deferAccept(server, 0);
    this.node?.leave();
    this.connections.leave();
    return server;
  }

  private readonly accepts = (socket: Socket): void => this.acceptSocket(socket);
  private readonly failed = (error: Error): void => this.events.failed(error);

  private setUp(server: Server, descriptors: Descriptors, handedOn: boolean): void {
    if (this.facts.port !== undefined && this.looks) this.deferAccept(server, DEFER);
    if (this.options.isProxy !== undefined) return;
    this.acceptSockets = acceptDescriptors(server, descriptors, handedOn, {
      taken: (descriptor) => this.accept(descriptor, descriptors),
      lost: () => this.noDescriptor(),
    });
  }

  private deferAccept(server: Server, seconds: number): void {
    const listening = descriptorOf(server);
    if (listening !== undefined) this.native?.descriptors.deferAccept(listening, seconds);
  }

  /** Whether the first bytes decide. Of TLS they do in any case: they say which certificate is wanted. */
  private get looks(): boolean {
    const { tls, isProxy } = this.options;
    return this.native !== undefined && isProxy === undefined && (this.wish === 'auto' || tls !== undefined);
  }

  private accept(descriptor: number, descriptors: Descriptors): void {
    const { events, uws } = this;
    const peer = peerAt(descriptor, descriptors, this.facts.port === undefined, this.local);
    // Over TCP a peer that has gone by now has no address, but what it has sent could still be read: by no rule for addresses.
    if (peer === undefined) {
      descriptors.close(descriptor);
      return;
    }
    const accepted = { peer, admitted: events.opened(peer.address) };
    this.connections.opened();
    if (!accepted.admitted && descriptor >= this.lastDescriptors) this.drop(descriptor, accepted);
    else if (!accepted.admitted || uws === undefined) this.passToNode(descriptor, accepted);
    else if (this.looks) this.look(descriptor, accepted, uws, descriptors, 0);
    else uws.adopt(descriptor, peer);
  }

  /** Decides by what has come, or looks again. */
  private look(
    descriptor: number,
    accepted: AcceptedConnection,
    uws: UwsServer,
    descriptors: Descriptors,
    looks: number,
  ): void {
    const length = descriptors.peek(descriptor);
    if (length === 0 || length === BROKEN) {
      this.drop(descriptor, accepted);
      return;
    }
    const judgement = length === NOTHING_YET ? 'more' : this.judge(descriptors.seen, length, uws);
    const wait = LOOK_AGAIN_AFTER[looks];
    if (typeof judgement === 'function') judgement(descriptor, accepted.peer);
    else if (judgement === 'node' || wait === undefined) this.passToNode(descriptor, accepted);
    else {
      this.waiting.set(descriptor, accepted);
      const again = (): void => {
        if (this.leavesWaiting(descriptor, accepted)) this.look(descriptor, accepted, uws, descriptors, looks + 1);
      };
      if (wait === 0) setImmediate(again);
      else setTimeout(again, wait);
    }
  }

  /** False where it was dropped meanwhile: the number may be another connection's. */
  private leavesWaiting(descriptor: number, accepted: AcceptedConnection): boolean {
    return this.waiting.get(descriptor) === accepted && this.waiting.delete(descriptor);
  }

  /** Who serves it: where to put it, or `node`; or whether more has to come first. */
  private judge(seen: Buffer, length: number, uws: UwsServer): Adopt | 'node' | 'more' {
    const { tls, maxHeaderBytes, http2 = false } = this.options;
    if (tls === undefined) {
      const judgement = judgeFirstRequest(seen, length, maxHeaderBytes);
      return judgement === 'uws' ? uws.adopt : judgement;
    }
    const hello = readClientHello(seen, length);
    if (hello === 'more') return 'more';
    if (hello === undefined || (http2 && hello.protocols.includes('h2'))) return 'node';
    const identity = tls.identityFor(hello.serverName);
    if (identity === undefined || (this.wish === 'auto' && !uwsCanServe(hello, identity))) return 'node';
    return uws.adopterOf(identity) ?? 'node';
  }

  /** Makes it a socket of Node's, once that engine is loaded. */
  private passToNode(descriptor: number, accepted: AcceptedConnection): void {
    const { node } = this;
    if (node === undefined) {
      this.waiting.set(descriptor, accepted);
      this.loadNode().then(
        () => this.leavesWaiting(descriptor, accepted) && this.passToNode(descriptor, accepted),
        (error: unknown) => {
          this.events.failed(error);
          if (this.leavesWaiting(descriptor, accepted)) this.drop(descriptor, accepted);
        },
      );
      return;
    }
    let socket: Socket;
    try {
      socket = new Socket({ fd: descriptor, allowHalfOpen: true });
    } catch (error) {
      this.events.failed(error);
      this.drop(descriptor, accepted);
      return;
    }
    this.keep(socket, accepted);
    node.serve(socket, accepted);
  }

  /** Closes what is the door's. */
  private drop(descriptor: number, { peer, admitted }: AcceptedConnection): void {
    this.native?.descriptors.close(descriptor);
    this.connections.closed();
    if (admitted) this.events.closed(peer.address);
  }

  /** Where descriptors cannot be had otherwise, where every connection is Node's, and where a proxy says whose each is. */
  private acceptSocket(socket: Socket): void {
    const { events, native, options } = this;
    if (native !== undefined && options.isProxy === undefined) {
      const descriptor = descriptorOf(socket);
      const copy = descriptor === undefined ? -1 : native.descriptors.duplicate(descriptor);
      socket.destroy();
      if (copy < 0) this.noDescriptor();
      else this.accept(copy, native.descriptors);
      return;
    }
    const peer = directPeer(socket, this.facts.port === undefined);
    if (peer.address === '') {
      socket.destroy();
      return;
    }
    if (options.isProxy !== undefined) {
      if (options.isProxy(peer.address)) this.awaitPreface(socket, peer);
      else {
        socket.destroy();
        events.refused('a connection from an address that connections.trusted_proxies does not list', peer.address);
      }
      return;
    }
    const accepted = { peer, admitted: events.opened(peer.address) };
    this.connections.opened();
    this.keep(socket, accepted);
    this.giveToNode(socket, accepted);
  }

  private noDescriptor(): void {
    this.events.refused('a connection for which no descriptor is left', '');
  }

  private giveToNode(socket: Socket, accepted: AcceptedConnection): void {
    if (this.node !== undefined) this.node.serve(socket, accepted);
    else
      this.loadNode().then(
        (node) => !socket.destroyed && node.serve(socket, accepted),
        (error: unknown) => {
          this.events.failed(error);
          socket.destroy();
        },
      );
  }

  /** It is Node's from here on, and counts until it is closed. */
  private keep(socket: Socket, accepted: AcceptedConnection): void {
    this.open.set(socket, accepted);
    socket.once('close', () => {
      this.open.delete(socket);
      this.connections.closed();
      if (accepted.admitted) this.events.closed(accepted.peer.address);
    });
  }

  /** Until the client is known the connection counts as the proxy's. */
  private awaitPreface(socket: Socket, direct: Peer): void {
    // An error is always followed by the close, which is what counts.
    socket.on('error', () => {});
    const accepted = { peer: direct, admitted: this.events.opened(direct.address) };
    this.connections.opened();
    this.keep(socket, accepted);
    if (!accepted.admitted) {
      this.giveToNode(socket, accepted);
      return;
    }
    takePreface(socket, this.options.headerTimeout, {
      taken: ({ client, length }) => {
        if (client !== undefined) {
          this.events.closed(direct.address);
          accepted.admitted = this.events.opened(client.address);
        }
        accepted.peer = { ...direct, ...client, anonymous: client === undefined, preface: length };
        // Not `uws`: it does not tell whose connection a request came by.
        this.giveToNode(socket, accepted);
      },
      refused: (reason) => this.events.refused(reason, direct.address),
    });
  }

  /** Loaded only where it serves: node:http takes 0.8 MiB. */
  private loadNode(): Promise<NodeServer> {
    this.loading ??= this.startNode().catch((error: unknown) => {
      this.loading = undefined;
      throw error;
    });
    return this.loading;
  }

  private async startNode(): Promise<NodeServer> {
    const { NodeServer: Class } = await import('../node/node.ts');
    this.node = await Class.start(this.options, this.shared(), this.facts, (socket) => this.open.get(socket)?.peer);
    if (this.stopped) this.node.stop();
    else if (this.connections.stopping) this.node.leave();
    return this.node;
  }

  private shared(): { readonly events: EngineEvents; readonly connections: OpenConnections } {
    return { events: this.events, connections: this.connections };
  }

  private stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.server?.close();
    // Closes the connections that wait for a next request, too.
    this.node?.stop();
    this.uws?.stop();
    this.connections.stop();
  }

  private dropAll(): void {
    for (const socket of this.open.keys()) socket.destroy();
    for (const [descriptor, accepted] of this.waiting) this.drop(descriptor, accepted);
    this.waiting.clear();
    this.uws?.close();
  }
}
