/** `/metrics`: what the gateway has counted, and what its process uses. */
import type { Log } from '../log.ts';
import type { Tallies } from '../tallies.ts';
import { exposition } from './exposition.ts';
import { ProcessFigures } from './process-figures.ts';

export class Metrics {
  private readonly process = new ProcessFigures();

  /** @param version goes into `runnel_build_info` */
  constructor(
    private readonly tallies: Tallies,
    private readonly log: Pick<Log, 'dropped'>,
    version: string,
  ) {
    tallies.build.set(1, version, process.version);
  }

  /** The text of `/metrics`. */
  async text(): Promise<string> {
    const { tallies, log } = this;
    const figures = await this.process.read();
    tallies.logDropped.set(log.dropped);
    return exposition([...tallies.all(), ...figures]);
  }
}
