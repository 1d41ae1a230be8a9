/** Tells whether files have changed, whatever changed them: an edit, a rename over them, a link that points elsewhere now. */
import { stat } from 'node:fs/promises';

/**
 * A text that differs when any of the files does. Links are followed, so the flip of a folder's link (Kubernetes, certbot) is seen,
 * which inotify on the file would miss. Never rejects: a file that is gone is a state too.
 */
export async function filesState(paths: readonly string[]): Promise<string> {
  const states = await Promise.all(
    paths.map(async (path) => {
      try {
        const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
        return [dev, ino, size, mtimeNs, ctimeNs].join(':');
      } catch (error) {
        return error instanceof Error && 'code' in error ? String(error.code) : String(error);
      }
    }),
  );
  return states.join('\n');
}
