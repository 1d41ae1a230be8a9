// Small changes of 32-bit little-endian ELF files, for the one Node that is too old to be told what newer ones can be told.

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
/** Of the range that an operating system may use as it likes: every loader passes over it. */
const DT_IGNORED = 0x6000000d;

/** Makes the dynamic loader pass over one NEEDED entry. Changes `elf`; throws unless it was there exactly once. */
export function dropNeeded(elf, library) {
  if (elf.toString('latin1', 0, 4) !== '\x7fELF' || elf[4] !== 1 || elf[5] !== 1)
    throw new Error('not a 32-bit little-endian ELF file');
  const segments = programHeaders(elf);
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  const entries = [];
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 8)
    entries.push({ at, tag: elf.readUInt32LE(at), value: elf.readUInt32LE(at + 4) });
  const strings = fileOffset(segments, entries.find(({ tag }) => tag === DT_STRTAB).value);
  const found = entries.filter(({ tag, value }) => tag === DT_NEEDED && textAt(elf, strings + value) === library);
  if (found.length !== 1) throw new Error(`${library} is needed ${found.length} times, not once`);
  elf.writeUInt32LE(DT_IGNORED, found[0].at);
}

/** Replaces a C string by another of its length. Changes `elf`; throws unless it was there exactly once. */
export function replaceText(elf, text, by) {
  const wanted = Buffer.from(`\0${text}\0`, 'latin1');
  const at = elf.indexOf(wanted);
  if (at < 0 || elf.indexOf(wanted, at + 1) >= 0 || by.length !== text.length)
    throw new Error(`"${text}" is not there exactly once, or "${by}" is not as long`);
  elf.write(by, at + 1, 'latin1');
}

function programHeaders(elf) {
  const start = elf.readUInt32LE(28);
  const size = elf.readUInt16LE(42);
  return Array.from({ length: elf.readUInt16LE(44) }, (_, index) => {
    const at = start + index * size;
    return {
      type: elf.readUInt32LE(at),
      offset: elf.readUInt32LE(at + 4),
      address: elf.readUInt32LE(at + 8),
      size: elf.readUInt32LE(at + 16),
    };
  });
}

function fileOffset(segments, address) {
  const segment = segments.find(
    (one) => one.type === PT_LOAD && address >= one.address && address < one.address + one.size,
  );
  return address - segment.address + segment.offset;
}

function textAt(elf, at) {
  return elf.toString('latin1', at, elf.indexOf(0, at));
}
