// Turns the lines of live.sh and status.cgi into what the page shows.

/** Positions in a list of CPU times, as /proc/stat has them: user, nice, system, idle, iowait, irq, softirq, steal. */
const IDLE = 3;
const IOWAIT = 4;

/**
 * What two samples in a row say: gauges from the newer one, rates from the difference. Without an older one (or when the
 * machine was restarted in between) the rates are null.
 */
export function reading(older, newer) {
  const seconds = older === null ? 0 : newer.uptime - older.uptime;
  const comparable = seconds > 0 && older.cpu.length === newer.cpu.length;
  const cores = comparable ? newer.cpu.map((times, core) => busyShare(older.cpu[core], times)) : null;
  const [total, available] = newer.memory;
  return {
    uptime: newer.uptime,
    cores,
    coreCount: newer.cpu.length,
    cpu: cores === null ? null : cores.reduce((sum, share) => sum + share, 0) / cores.length,
    load: newer.load,
    tasks: newer.tasks,
    memory: { total, used: total - available },
    received: comparable ? rate(older.net, newer.net, 0, seconds) : null,
    sent: comparable ? rate(older.net, newer.net, 1, seconds) : null,
    temperature: newer.temperature === null ? null : newer.temperature / 1000,
  };
}

/** The share of the time between two samples, 0 to 1, in which a core was busy. */
function busyShare(older, newer) {
  const spent = newer.map((ticks, index) => Math.max(0, ticks - older[index]));
  const all = spent.reduce((sum, ticks) => sum + ticks, 0);
  return all === 0 ? 0 : 1 - (spent[IDLE] + spent[IOWAIT]) / all;
}

/** Bytes a second over all interfaces; `column` 0 is received, 1 is sent. Counters of 32 bits may wrap: that sample is 0. */
function rate(older, newer, column, seconds) {
  let bytes = 0;
  for (const name of Object.keys(newer)) {
    if (name in older) bytes += Math.max(0, newer[name][column] - older[name][column]);
  }
  return bytes / seconds;
}

/** `[number, unit]` of bytes a second, in powers of 1000 as networks count. */
export function formatRate(bytes) {
  const [number, unit] = formatBytes(bytes).split(' ');
  return [number, `${unit}/s`];
}

/** "257 B", "16.9 kB", "4.20 MB". */
export function formatBytes(bytes) {
  if (bytes >= 1e9) return `${threeDigits(bytes / 1e9)} GB`;
  if (bytes >= 1e6) return `${threeDigits(bytes / 1e6)} MB`;
  if (bytes >= 1e3) return `${threeDigits(bytes / 1e3)} kB`;
  return `${bytes.toFixed(0)} B`;
}

/** `[number, unit]` of KiB, in powers of 1024 as memory counts. */
export function formatMemory(kibibytes) {
  if (kibibytes >= 1024 * 1024) return [threeDigits(kibibytes / 1024 / 1024), 'GiB'];
  return [threeDigits(kibibytes / 1024), 'MiB'];
}

/** 0.42, 4.20, 42.0, 420: as many decimals as three digits leave. */
function threeDigits(value) {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** "3 d 4 h", "4 h 12 min", "12 min". */
export function formatUptime(seconds) {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}
