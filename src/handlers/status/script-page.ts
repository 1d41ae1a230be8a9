/** Pages with scripts that the gateway serves by itself: one document with everything in it, and a policy that lets nothing else work in it. */
import { createHash } from 'node:crypto';

/** Lines that are comments, and indentation: a quarter of what a phone would load. */
export function withoutComments(script: string): string {
  return script
    .replace(/^[ \t]+/gm, '')
    .replace(/^\/\/.*\n/gm, '')
    .replace(/([;,{]) \/\/ .*$/gm, '$1');
}

/** A module without its imports and exports: what it imports stands before it. */
export function asScript(module: string): string {
  return module.replace(/^import [^;]*;\n/gm, '').replace(/^export /gm, '');
}

/**
 * A Content-Security-Policy for what is in the page alone: what it shows is text, and would be harmless even if it became something else.
 * @param more further directives
 */
export function pagePolicy(html: string, more = ''): string {
  const hashes = (element: string): string =>
    [...html.matchAll(new RegExp(`<${element}>([\\s\\S]*?)</${element}>`, 'g'))]
      .map(([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
      .join(' ');
  return `default-src 'none'; script-src ${hashes('script')}; style-src ${hashes('style')}; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'${more}`;
}
