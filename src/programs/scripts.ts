/** Finding the script that a request's path names below a folder: for CGI programs, FastCGI applications and streams alike. */
import { CacheBudget, FileCache } from '../files/cache.ts';
import { locateProgram, type ScriptLocation } from '../files/locate.ts';
import { FileRefusal, segmentsOf } from '../files/segments.ts';
import { HttpError } from '../http/errors.ts';
import type { PathBelow } from '../routing/canonical-path.ts';
import { routeBase, type ScriptPath } from './script-path.ts';
import { asStartError } from './start-error.ts';

/** A script, and how the path divides at it. */
export type Script = ScriptPath & { readonly file: string };

/** Bytes and milliseconds for which it is remembered where a script was found. */
const CACHE = { maxBytes: 512 * 1024, freshFor: 1000 };

export class Scripts {
  private readonly found = new FileCache<Script>(new CacheBudget(CACHE));
  private readonly base: string;

  /**
   * @param route The route's key.
   * @param index Names of files that stand for their folder.
   */
  constructor(
    private readonly root: string,
    route: string,
    private readonly index: readonly string[],
  ) {
    this.base = routeBase(route);
  }

  /**
   * What `rest` names; undefined for a folder that has an index and was asked for without its slash. At once where it was found within
   * the last second. Rejects with an `HttpError`.
   */
  find(rest: PathBelow): Script | Promise<Script | undefined> {
    const now = performance.now();
    return this.found.fresh(rest, now) ?? this.look(rest, now).catch(refuse);
  }

  private async look(rest: PathBelow, now: number): Promise<Script | undefined> {
    const segments = segmentsOf(rest);
    let found = await locateProgram(this.root, segments);
    if (found === undefined) {
      found = await this.indexOf(segments);
      if (segments.at(-1) !== '') return undefined;
    }
    const name = found.script.filter((segment) => segment !== '').join('/');
    const script = { file: found.file, scriptName: `${this.base}/${name}`, pathInfo: found.pathInfo };
    this.found.put(rest, script, script.file.length + script.scriptName.length + script.pathInfo.length, now);
    return script;
  }

  private async indexOf(folder: readonly string[]): Promise<ScriptLocation> {
    for (const name of this.index) {
      const found = await locateProgram(this.root, [...folder, name]).catch(unlessNotThere);
      if (found) return found;
    }
    throw new HttpError(
      403,
      'this is a folder; "index" in the table of the route would name the program that serves it',
      { told: 'This folder has no page of its own.' },
    );
  }
}

function unlessNotThere(error: unknown): undefined {
  if (error instanceof FileRefusal && error.status === 404) return undefined;
  throw error;
}

function refuse(error: unknown): never {
  throw asStartError(error);
}
