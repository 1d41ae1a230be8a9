/** Replies with the fields that their route and their listener add. Those that are given again and again are put together once. */
import type { HeaderList, Reply, Request } from '../../engine/engine.ts';
import type { Cors } from '../../policy/cors.ts';
import { withHeaders } from '../reply.ts';

/** What a reply was made ready with. */
interface ReadyReply {
  readonly own: HeaderList;
  readonly cors: Cors;
  /** What the fields of `cors` depend on. */
  readonly origin: string;
  readonly of: Reply;
  readonly ready: Reply;
}

/** Of one listener and one configuration. What is ready goes with the headers that it was made of. */
export class ReadyReplies {
  private readonly known = new WeakMap<HeaderList, ReadyReply>();

  /**
   * @param own the fields of the route
   * @param common those of the listener
   */
  of(reply: Reply, own: HeaderList, common: HeaderList, cors: Cors, request: Request): Reply {
    if (own.length === 0 && common.length === 0 && !cors.on) return reply;
    const origin = reply.lasting === undefined ? undefined : cors.answerDependsOn(request);
    if (origin === undefined) return complete(reply, own, common, cors, request);
    const known = this.known.get(reply.headers);
    if (known !== undefined && known.own === own && known.cors === cors && known.origin === origin)
      return known.of === reply ? known.ready : { ...reply, headers: known.ready.headers };
    const ready = complete(reply, own, common, cors, request);
    this.known.set(reply.headers, { own, cors, origin, of: reply, ready });
    return ready;
  }
}

function complete(reply: Reply, own: HeaderList, common: HeaderList, cors: Cors, request: Request): Reply {
  const named = withHeaders(withHeaders(reply, own), common);
  return cors.on ? { ...named, headers: cors.apply(named.headers, request) } : named;
}
