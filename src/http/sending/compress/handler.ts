/** A handler whose replies are compressed for clients that take that: routes with `compress`. */
import type { Answer, Call, Handler } from '../../handler.ts';
import type { Compressor } from './compressor.ts';

/** @param route its key, for the counts */
export function compressing(inner: Handler, compressor: Compressor, route: string): Handler {
  const compressed = (answer: Answer, { request }: Call): Answer | Promise<Answer> =>
    'status' in answer ? compressor.apply(answer, request, route) : answer;
  return {
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
