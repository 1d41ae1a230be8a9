/** A handler whose replies are compressed for clients that take that: routes with `compress`. */
import type { Reply } from '../../../engine/engine.ts';
import type { Answer, Call, Handler } from '../../handler.ts';
import { IterableBody } from '../../reply-bodies.ts';
import type { Compressor } from './compressor.ts';

/**
 * @param route its key, for the counts
 * @param fits which replies are for it
 */
export function compressing(
  inner: Handler,
  compressor: Compressor,
  route: string,
  fits: (reply: Reply) => boolean = () => true,
): Handler {
  const compressed = (answer: Answer, { request }: Call): Answer | Promise<Answer> =>
    'status' in answer && fits(answer) ? compressor.apply(answer, request, route) : answer;
  return {
    ...(inner.prepare === undefined ? {} : { prepare: () => inner.prepare?.() ?? Promise.resolve() }),
    ...(inner.status === undefined ? {} : { status: () => inner.status?.() ?? {} }),
    endClient: (name) => inner.endClient?.(name) ?? false,
    kind: inner.kind,
    methods: inner.methods,
    takesBody: inner.takesBody,
    maxBody: inner.maxBody,
    crossSite: inner.crossSite,
    takesMessages: inner.takesMessages ?? false,
    pacesItself: inner.pacesItself ?? false,
    handle(call) {
      const answer = inner.handle(call);
      return answer instanceof Promise ? answer.then((late) => compressed(late, call)) : compressed(answer, call);
    },
    errorPage: (status) => inner.errorPage?.(status),
    begin: () => inner.begin?.(),
    retire: (reason) => inner.retire(reason),
    close: () => inner.close(),
  };
}

/** What a stream answers that has an end: its last message, a long-poll, past messages. All else is live, and stays as it is. */
export function hasAnEnd({ body }: Reply): boolean {
  return typeof body === 'string' || body instanceof Uint8Array || body instanceof IterableBody;
}
