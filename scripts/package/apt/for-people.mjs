// What of a repository is for people: the file that tells apt of it, the lines to type, and a page that has them.

/** The lines that install runnel from the repository at `address`. */
export function installLines(address) {
  return [
    `sudo curl -fsSLo /etc/apt/sources.list.d/runnel.sources ${address}/runnel.sources`,
    'sudo apt update',
    'sudo apt install runnel',
  ];
}

/** runnel.sources: the address and the key that apt trusts there, and nowhere else. */
export function sourcesFile(address, { fingerprint, publicKey }) {
  const key = publicKey
    .trim()
    .split('\n')
    .map((line) => ` ${line === '' ? '.' : line}`);
  return `# runnel. Goes to /etc/apt/sources.list.d/runnel.sources; its key is ${fingerprint}.
Types: deb
URIs: ${address}
Suites: stable
Components: main
Signed-By:
${key.join('\n')}
`;
}

/** index.html. `versions` are rows of version, architecture, name and file, in any order. */
export function repositoryPage(address, { fingerprint }, versions) {
  const rows = [...versions]
    .sort((one, other) => compare(other.version, one.version) || compare(one.architecture, other.architecture))
    .map(({ version, architecture, name, file }) => {
      const cells = `<td>${escaped(version)}</td><td>${architecture}</td>`;
      return `<tr>${cells}<td><a href="${encodeURI(file)}">${escaped(name)}</a></td></tr>`;
    });
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>runnel for Debian</title>
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
  body { max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
  pre { overflow-x: auto; padding: 1rem; border: 1px solid; border-radius: 0.3rem; }
  td, th { padding-right: 2rem; text-align: left; }
</style>
<h1>runnel for Debian</h1>
<p>For Debian 12 and 13, Raspberry Pi OS and Ubuntu, on amd64, arm64 and armhf. Type:</p>
<pre>${installLines(address).map(escaped).join('\n')}</pre>
<p><a href="runnel.sources">runnel.sources</a> has this address and the key that apt checks the packages with. The key is
<code>${fingerprint.replace(/(.{4})(?=.)/g, '$1 ')}</code> (<a href="runnel.asc">runnel.asc</a>).
<code>apt upgrade</code> installs newer versions.</p>
<h2>Packages</h2>
<table>
<tr><th>Version</th><th>Architecture</th><th>File</th></tr>
${rows.join('\n')}
</table>
</html>
`;
}

/** Numbers in versions compare as numbers. */
function compare(one, other) {
  return one.localeCompare(other, 'en', { numeric: true });
}

function escaped(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
