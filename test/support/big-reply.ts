/** A server of one big reply, in a process of its own: what it holds in memory is then the engine's. Argument: the engine's name. */
import type { EngineName } from '../../src/engine/engine.ts';
import { PatternSource, Trial } from './trial.ts';

const TOTAL = 200 << 20;

let source: PatternSource | undefined;
const trial = await Trial.start(process.argv[2] as EngineName, (exchange) => {
  source = new PatternSource(TOTAL, exchange.request.path === '/known' ? TOTAL : undefined);
  exchange.reply({ status: 200, headers: [], body: source });
});
process.on('message', () => process.send?.({ written: source?.written ?? 0, rss: process.memoryUsage.rss() }));
process.on('disconnect', () => process.exit());
process.send?.({ port: trial.port });
