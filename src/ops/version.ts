/** The version, as in package.json (a test holds the two equal; the single executable has no package.json beside it). */
export const VERSION = '0.1.0';
