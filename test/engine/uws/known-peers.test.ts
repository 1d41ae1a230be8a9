/** Whose connection a request came by, where uWebSockets.js tells the address only. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Descriptors } from '../../../src/engine/descriptors.ts';
import type { Peer } from '../../../src/engine/peer.ts';
import { type AdoptingApp, KnownPeers } from '../../../src/engine/uws/known-peers.ts';

const ADDRESS = '192.0.2.1';

/** An app that knows its connections, and which port is at the other end of each descriptor. */
function start(): { readonly known: KnownPeers; readonly ports: Map<number, number> } {
  const ports = new Map<number, number>();
  const descriptors: Partial<Descriptors> = {
    peerOf(descriptor) {
      const port = ports.get(descriptor);
      return port === undefined ? undefined : { address: ADDRESS, port };
    },
  };
  return { known: new KnownPeers({} as AdoptingApp, true, descriptors as Descriptors), ports };
}

function peer(port: number): Peer {
  return { address: ADDRESS, port, local: undefined, secure: false, anonymous: false, preface: 0 };
}

test('a connection is known while it is there', () => {
  const { known, ports } = start();
  ports.set(20, 1000);
  known.remember(20, peer(1000));
  assert.equal(known.has(ADDRESS), true);
  assert.equal(known.of(ADDRESS)?.port, 1000);
  // One of two has gone, and nobody says which; the descriptor is another connection's.
  known.remember(21, { ...peer(1001), address: '192.0.2.2' });
  ports.set(20, 1002);
  known.left();
  assert.equal(known.has(ADDRESS), false);
});

test('one that became a WebSocket leaves its address to the next', () => {
  const { known, ports } = start();
  ports.set(20, 1000);
  known.remember(20, peer(1000));
  ports.set(21, 1001);
  known.remember(21, { ...peer(1001), address: '192.0.2.2' });
  known.left(ADDRESS, 1000);
  assert.equal(known.has(ADDRESS), false);
  assert.equal(known.has('192.0.2.2'), true);
});

test('one that had broken off when it became a WebSocket does not take the place of its successor away', () => {
  const { known, ports } = start();
  ports.set(20, 1000);
  known.remember(20, peer(1000));
  known.remember(22, { ...peer(1002), address: '192.0.2.2' });
  known.left();
  ports.delete(20);
  assert.equal(known.has(ADDRESS), false);
  ports.set(21, 1001);
  known.remember(21, peer(1001));
  known.left(ADDRESS, 1000);
  // Or a third one would come in beside it, and its requests would be taken for those of the third.
  assert.equal(known.has(ADDRESS), true);
  assert.equal(known.of(ADDRESS)?.port, 1001);
});

test('while none has gone nobody is asked', () => {
  const { known, ports } = start();
  known.remember(20, peer(1000));
  assert.equal(known.has(ADDRESS), true, 'it may have broken off: that is not known yet');
  assert.equal(known.has('192.0.2.2'), false);
  known.left();
  assert.equal(known.has(ADDRESS), false);
  assert.equal(ports.size, 0);
});

test('the address is known without asking as long as all have the same', () => {
  const { known } = start();
  const other = { ...peer(1002), address: '192.0.2.2' };
  assert.equal(known.address, undefined);
  known.remember(20, peer(1000));
  known.remember(21, peer(1001));
  assert.equal(known.address, ADDRESS);
  known.remember(22, other);
  known.left();
  known.left();
  // Which of the three is left nobody knows.
  assert.equal(known.address, undefined);
  known.left();
  known.remember(23, other);
  assert.equal(known.address, other.address);
});
