/** A Chromium for a test file, started with the first page and closed behind the last. */
import { existsSync } from 'node:fs';
import { after } from 'node:test';
import { type Browser, chromium } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';

/** Why browser tests are skipped here, or false. */
export const noBrowser: string | false = existsSync(CHROMIUM) ? false : 'needs chromium';

/** To be called inside of `describe`. */
export function testBrowser(): () => Promise<Browser> {
  let started: Promise<Browser> | undefined;
  after(async () => (await started)?.close());
  return () => {
    started ??= chromium.launch({
      executablePath: CHROMIUM,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    return started;
  };
}
