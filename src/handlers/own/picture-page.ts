/** The page of a stream of pictures: the newest one, its age and its rate. client.js goes into it, so that it needs no address. */
import type { Assets } from '../../ops/assets.ts';

/**
 * The text of the page, with `{{title}}` where a title belongs.
 * @param place where its stream is: "here", at the page's own address, or what `?stream=` names
 */
export function picturePage(assets: Assets, place: 'here' | 'named', shorten: (text: string) => string): string {
  const asset = (name: string): string => shorten(assets.read(`browser/${name}`).toString());
  return asset('picture.html')
    .replace('/*{{client}}*/', () => asset('client.js'))
    .replace('{{stream}}', place);
}
