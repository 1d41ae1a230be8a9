/** The addresses of this machine: which of them are of a LAN, and which a phone in it would use. Pure. */
import type { NetworkInterfaceInfo } from 'node:os';
import { addressBytes } from '../../net/address.ts';
import { inRange, parseAddressRange } from '../../net/address-range.ts';

export interface MachineAddress {
  readonly address: string;
  readonly isIPv6: boolean;
  /** Of a network that is nobody's but the owner's (RFC 1918, RFC 3927, RFC 4193). */
  readonly isPrivate: boolean;
  /** Of an interface that leads to containers, virtual machines or through a tunnel. */
  readonly isVirtual: boolean;
}

const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', 'fc00::/7'].flatMap(
  (text) => parseAddressRange(text) ?? [],
);
const LINK_LOCAL = parseAddressRange('fe80::/10');
/** Docker's own bridges have names such as br-0123456789ab; OpenWrt's br-lan is a LAN. */
const VIRTUAL =
  /^(docker|veth|virbr|vnet|vmnet|vboxnet|lxcbr|lxdbr|incusbr|podman|cni|flannel|cali|kube|tun|tap|wg|tailscale|zt|ppp|br-[0-9a-f]{12}$)/;

/** All but loopback, and but those that need the name of an interface: IPv4 first, those of virtual interfaces last. */
export function machineAddresses(interfaces: {
  readonly [name: string]: readonly NetworkInterfaceInfo[] | undefined;
}): readonly MachineAddress[] {
  const all = Object.entries(interfaces).flatMap(([name, infos = []]) =>
    infos.flatMap(({ address, family, internal }): readonly MachineAddress[] => {
      const bytes = addressBytes(address);
      if (internal || bytes === undefined || (LINK_LOCAL !== undefined && inRange(bytes, LINK_LOCAL))) return [];
      const isPrivate = PRIVATE.some((range) => inRange(bytes, range));
      return [{ address, isIPv6: family === 'IPv6', isPrivate, isVirtual: VIRTUAL.test(name) }];
    }),
  );
  const rank = ({ isVirtual, isIPv6 }: MachineAddress): number => (isVirtual ? 2 : 0) + (isIPv6 ? 1 : 0);
  return all
    .filter(({ address }, at) => all.findIndex((other) => other.address === address) === at)
    .sort((a, b) => rank(a) - rank(b));
}

/** Those by which machines of the LAN reach this one. */
export function lanAddresses(addresses: readonly MachineAddress[]): readonly MachineAddress[] {
  return addresses.filter(({ isPrivate, isVirtual }) => isPrivate && !isVirtual);
}
