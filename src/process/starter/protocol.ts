/**
 * What the gateway and the starter (`starter.c`, which has the same numbers) say to each other. A request is a packet of a Unix socket, up to
 * 32 KiB, with descriptors; an answer is a record of 16 bytes in a pipe. All numbers have 32 bits and the machine's order of bytes, which is
 * little-endian on all processors that runnel knows.
 */
import { writeSync } from 'node:fs';
import { MFD_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, type PosixCalls } from '../posix/calls.ts';
import type { SpawnOptions } from '../spawn.ts';

/** How many programs there can be at one time. */
export const SLOTS = 131_072;
/** Of one slot in the table: the number of the group, and what only the starter knows. */
export const SLOT_BYTES = 8;
const PACKET_BYTES = 32 << 10;
/** Of all strings of one start. More than the kernel takes: it allows a quarter of the stack's limit, 2 MiB by default. */
const MAX_BYTES = 8 << 20;

const REQUEST = { table: 1, start: 2, signal: 3, guard: 4, forget: 5 } as const;
const FLAG = { input: 1, error: 2, directory: 4, brief: 8, large: 16 } as const;
const HEADER_BYTES = 28;

/** Kinds of answers. */
export const ANSWER = {
  /** It can be asked now. */
  ready: 1,
  /** It runs. Of a brief one this is told only when it has run for 4 ms, or for up to 20 while others run beside it. */
  started: 2,
  /** It was not started; the value is an errno, and the slot is free. */
  failed: 3,
  /** Its leader was reaped, the value is the status of wait(2), nobody is left in its group, and the slot is free. */
  exited: 4,
  /** Its leader was reaped, and somebody is left in its group. */
  left: 5,
  /** Now nobody is left, and the slot is free. */
  empty: 6,
} as const;

const ANSWER_BYTES = 16;

/** Called with the fields of each answer. */
export type TakeAnswer = (kind: number, slot: number, pid: number, value: number) => void;

/** Finds the answers in the bytes as they come. */
export class AnswerReader {
  private rest: Buffer | undefined;

  constructor(private readonly take: TakeAnswer) {}

  feed(chunk: Buffer): void {
    const bytes = this.rest === undefined ? chunk : Buffer.concat([this.rest, chunk]);
    let at = 0;
    for (; at + ANSWER_BYTES <= bytes.length; at += ANSWER_BYTES)
      this.take(
        bytes.readUInt32LE(at),
        bytes.readUInt32LE(at + 4),
        bytes.readInt32LE(at + 8),
        bytes.readUInt32LE(at + 12),
      );
    this.rest = at < bytes.length ? Buffer.from(bytes.subarray(at)) : undefined;
  }
}

/** The descriptors of a program; without one it gets /dev/null. */
export interface StartDescriptors {
  readonly input: number | undefined;
  readonly output: number;
  readonly error: number | undefined;
}

/** Over 64 bytes, so that V8 keeps memory off its heap, where it might move. */
const STRUCT_BYTES = 128;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;

/** One request at a time, in memory that C reads in place. Each `send…` answers with an errno; 0 when it is on its way. */
export class RequestWriter {
  private readonly packet = Buffer.allocUnsafeSlow(PACKET_BYTES);
  private readonly header = new Uint32Array(this.packet.buffer, this.packet.byteOffset, HEADER_BYTES >> 2);
  /** struct msghdr, struct iovec and struct cmsghdr. */
  private readonly message = Buffer.alloc(STRUCT_BYTES);
  private readonly part = Buffer.alloc(STRUCT_BYTES);
  private readonly control = Buffer.alloc(STRUCT_BYTES);
  private readonly word: number;

  constructor(private readonly calls: PosixCalls) {
    const word = calls.pointerSize;
    this.word = word;
    this.point(this.part, 0, this.packet);
    // struct msghdr: name, its length, parts, their number, control, its length, flags; each takes a word.
    this.point(this.message, 2 * word, this.part);
    this.setWord(this.message, 3 * word, 1);
    this.point(this.message, 4 * word, this.control);
    // struct cmsghdr: its length, level, type.
    this.control.writeInt32LE(SOL_SOCKET, word);
    this.control.writeInt32LE(SCM_RIGHTS, word + 4);
  }

  /** The first request: the file in memory that has the slots. */
  sendTable(socket: number, table: number): number {
    this.set(REQUEST.table, 0, 0);
    return this.send(socket, HEADER_BYTES, [table]);
  }

  /** E2BIG when there are more than 8 MiB. A NUL within a string is found by the starter, which answers with EINVAL. */
  sendStart(socket: number, slot: number, options: SpawnOptions, descriptors: StartDescriptors): number | 'E2BIG' {
    const { argv, env, directory, capabilities } = options;
    const { input, output, error } = descriptors;
    // In one string, because each writing into memory outside of the heap costs more than what it writes.
    let strings = `${options.file}\0`;
    if (directory !== undefined) strings += `${directory}\0`;
    for (const argument of argv) strings += `${argument}\0`;
    for (const [name, value] of env) strings += `${name}=${value}\0`;
    let flags = options.brief && options.stdin !== 'pipe' ? FLAG.brief : 0;
    const handed = [output];
    if (directory !== undefined) flags |= FLAG.directory;
    if (input !== undefined) {
      flags |= FLAG.input;
      handed.unshift(input);
    }
    if (error !== undefined) {
      flags |= FLAG.error;
      handed.push(error);
    }
    this.set(REQUEST.start, slot, flags);
    this.header[3] = argv.length;
    this.header[4] = env.size;
    this.header[5] = capabilities === undefined ? 0 : bitsOf(capabilities);
    // UTF-8 takes at most three bytes for one unit of a string.
    if (strings.length * 3 > PACKET_BYTES - HEADER_BYTES) return this.sendLarge(socket, strings, flags, handed);
    const length = this.packet.write(strings, HEADER_BYTES);
    this.header[6] = length;
    return this.send(socket, HEADER_BYTES + length, handed);
  }

  /** To the group in this slot, if there is one. */
  sendSignal(socket: number, slot: number, signal: number): number {
    this.set(REQUEST.signal, slot, signal);
    return this.send(socket, HEADER_BYTES, []);
  }

  /** A group that another starter had: this one ends it when the gateway is gone, and says when it is empty. */
  sendGuard(socket: number, slot: number, group: number): number {
    this.set(REQUEST.guard, slot, group);
    return this.send(socket, HEADER_BYTES, []);
  }

  /** What is left of the group in this slot is left alone, and the slot is free. */
  sendForget(socket: number, slot: number): number {
    this.set(REQUEST.forget, slot, 0);
    return this.send(socket, HEADER_BYTES, []);
  }

  private sendLarge(socket: number, strings: string, flags: number, handed: readonly number[]): number | 'E2BIG' {
    const bytes = Buffer.from(strings);
    if (bytes.length > MAX_BYTES) return 'E2BIG';
    const { calls } = this;
    const file = calls.memoryFile('runnel', MFD_CLOEXEC);
    if (file < 0) return calls.errno();
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
      this.header[2] = flags | FLAG.large;
      this.header[6] = bytes.length;
      return this.send(socket, HEADER_BYTES, [...handed, file]);
    } finally {
      calls.close(file);
    }
  }

  private set(kind: number, slot: number, value: number): void {
    this.header.fill(0);
    this.header[0] = kind;
    this.header[1] = slot;
    this.header[2] = value;
  }

  private send(socket: number, length: number, descriptors: readonly number[]): number {
    const { message, control, part, word } = this;
    const controlBytes = descriptors.length === 0 ? 0 : word + 8 + 4 * descriptors.length;
    this.setWord(part, word, length);
    this.setWord(message, 5 * word, controlBytes);
    this.setWord(control, 0, controlBytes);
    for (const [index, descriptor] of descriptors.entries()) control.writeInt32LE(descriptor, word + 8 + 4 * index);
    return this.calls.sendmsg(socket, message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? this.calls.errno() : 0;
  }

  private point(at: Buffer, offset: number, to: Buffer): void {
    if (this.word === 8) at.writeBigUInt64LE(this.calls.address(to), offset);
    else at.writeUInt32LE(Number(this.calls.address(to)), offset);
  }

  /** A size_t; the upper half stays zero. */
  private setWord(at: Buffer, offset: number, value: number): void {
    at.writeUInt32LE(value, offset);
  }
}

function bitsOf(numbers: readonly number[]): number {
  let bits = 0;
  for (const number of numbers) bits |= 1 << number;
  return bits >>> 0;
}
