/**
 * Content types by file name extension. None names a charset: what a file is written in, only the file knows (a `<meta>`, an XML
 * declaration, a byte order mark), or whoever configures the route.
 */

const TYPES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    // Pages, and what they load
    html: 'text/html',
    htm: 'text/html',
    shtml: 'text/html',
    xhtml: 'application/xhtml+xml',
    css: 'text/css',
    js: 'text/javascript',
    mjs: 'text/javascript',
    cjs: 'text/javascript',
    json: 'application/json',
    map: 'application/json',
    jsonld: 'application/ld+json',
    geojson: 'application/geo+json',
    topojson: 'application/json',
    json5: 'application/json5',
    jsonl: 'application/x-ndjson',
    ndjson: 'application/x-ndjson',
    webmanifest: 'application/manifest+json',
    wasm: 'application/wasm',
    pac: 'application/x-ns-proxy-autoconfig',
    wgt: 'application/widget',
    crx: 'application/x-chrome-extension',
    xpi: 'application/x-xpinstall',
    opensearch: 'application/opensearchdescription+xml',
    appcache: 'text/cache-manifest',
    manifest: 'text/cache-manifest',
    htc: 'text/x-component',
    // Text
    txt: 'text/plain',
    text: 'text/plain',
    log: 'text/plain',
    conf: 'text/plain',
    ini: 'text/plain',
    md: 'text/markdown',
    markdown: 'text/markdown',
    csv: 'text/csv',
    tsv: 'text/tab-separated-values',
    vtt: 'text/vtt',
    srt: 'application/x-subrip',
    ics: 'text/calendar',
    vcf: 'text/vcard',
    diff: 'text/x-diff',
    patch: 'text/x-diff',
    eml: 'message/rfc822',
    xml: 'text/xml',
    xsl: 'text/xml',
    xslt: 'application/xslt+xml',
    xsd: 'text/xml',
    dtd: 'application/xml-dtd',
    rdf: 'application/rdf+xml',
    wsdl: 'application/wsdl+xml',
    rss: 'application/rss+xml',
    atom: 'application/atom+xml',
    gpx: 'application/gpx+xml',
    kml: 'application/vnd.google-earth.kml+xml',
    yaml: 'application/yaml',
    yml: 'application/yaml',
    toml: 'application/toml',
    // Pictures
    svg: 'image/svg+xml',
    png: 'image/png',
    apng: 'image/apng',
    jpg: 'image/jpeg',
    jpeg: 'image/jpeg',
    gif: 'image/gif',
    webp: 'image/webp',
    avif: 'image/avif',
    jxl: 'image/jxl',
    heic: 'image/heic',
    heif: 'image/heif',
    cur: 'image/x-icon',
    jfif: 'image/jpeg',
    bmp: 'image/bmp',
    ico: 'image/x-icon',
    tif: 'image/tiff',
    tiff: 'image/tiff',
    // Sound and film
    mp3: 'audio/mpeg',
    m4a: 'audio/mp4',
    aac: 'audio/aac',
    ogg: 'audio/ogg',
    oga: 'audio/ogg',
    opus: 'audio/ogg',
    flac: 'audio/flac',
    wav: 'audio/wav',
    weba: 'audio/webm',
    mid: 'audio/midi',
    midi: 'audio/midi',
    m4b: 'audio/mp4',
    mka: 'audio/x-matroska',
    amr: 'audio/amr',
    aif: 'audio/aiff',
    aiff: 'audio/aiff',
    wma: 'audio/x-ms-wma',
    m3u: 'audio/mpegurl',
    pls: 'audio/x-scpls',
    mp4: 'video/mp4',
    m4v: 'video/mp4',
    webm: 'video/webm',
    ogv: 'video/ogg',
    mov: 'video/quicktime',
    avi: 'video/x-msvideo',
    mkv: 'video/matroska',
    '3gp': 'video/3gpp',
    '3g2': 'video/3gpp2',
    wmv: 'video/x-ms-wmv',
    flv: 'video/x-flv',
    mpg: 'video/mpeg',
    mpeg: 'video/mpeg',
    ts: 'video/mp2t',
    m3u8: 'application/vnd.apple.mpegurl',
    mpd: 'application/dash+xml',
    // Fonts
    woff: 'font/woff',
    woff2: 'font/woff2',
    ttf: 'font/ttf',
    otf: 'font/otf',
    ttc: 'font/collection',
    eot: 'application/vnd.ms-fontobject',
    // Documents, archives and images of disks
    pdf: 'application/pdf',
    rtf: 'application/rtf',
    ps: 'application/postscript',
    epub: 'application/epub+zip',
    odt: 'application/vnd.oasis.opendocument.text',
    ods: 'application/vnd.oasis.opendocument.spreadsheet',
    odp: 'application/vnd.oasis.opendocument.presentation',
    doc: 'application/msword',
    docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    xls: 'application/vnd.ms-excel',
    xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    ppt: 'application/vnd.ms-powerpoint',
    pptx: 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
    stl: 'model/stl',
    gltf: 'model/gltf+json',
    glb: 'model/gltf-binary',
    zip: 'application/zip',
    gz: 'application/gzip',
    tgz: 'application/gzip',
    bz2: 'application/x-bzip2',
    xz: 'application/x-xz',
    zst: 'application/zstd',
    br: 'application/octet-stream',
    tar: 'application/x-tar',
    '7z': 'application/x-7z-compressed',
    jar: 'application/java-archive',
    apk: 'application/vnd.android.package-archive',
    deb: 'application/vnd.debian.binary-package',
    rpm: 'application/x-rpm',
    ipa: 'application/octet-stream',
    jnlp: 'application/x-java-jnlp-file',
    jad: 'text/vnd.sun.j2me.app-descriptor',
    torrent: 'application/x-bittorrent',
    iso: 'application/x-iso9660-image',
    swf: 'application/x-shockwave-flash',
    // Certificates and what sets up devices
    pem: 'application/x-pem-file',
    crt: 'application/x-x509-ca-cert',
    der: 'application/x-x509-ca-cert',
    cer: 'application/pkix-cert',
    crl: 'application/pkix-crl',
    csr: 'application/pkcs10',
    p7b: 'application/x-pkcs7-certificates',
    p7c: 'application/pkcs7-mime',
    p12: 'application/x-pkcs12',
    pfx: 'application/x-pkcs12',
    mobileconfig: 'application/x-apple-aspen-config',
    ovpn: 'application/x-openvpn-profile',
    asc: 'application/pgp-signature',
    sig: 'application/pgp-signature',
  }),
);

export interface TypeRules {
  /** By the end of a name, in lower case, such as ".tar.gz"; "" is every file. The longest counts, before what is known here. */
  readonly types: ReadonlyMap<string, string>;
  /** What text is written in. */
  readonly charset: string | undefined;
}

/**
 * The Content-Type of a file by its name; of a name that says nothing "application/octet-stream", which no browser runs. The charset
 * is for text that has none yet; XML and JSON say by themselves what they are written in, and a charset would outvote that.
 */
export function contentTypes({ types, charset }: TypeRules): (name: string) => string {
  const own = [...types].sort(([a], [b]) => b.length - a.length);
  return (name) => {
    const lower = name.toLowerCase();
    const type = own.find(([ending]) => lower.endsWith(ending))?.[1] ?? knownType(lower);
    return charset === undefined || !isText(type) ? type : `${type}; charset=${charset}`;
  };
}

function knownType(name: string): string {
  const dot = name.lastIndexOf('.');
  return (dot < 0 ? undefined : TYPES.get(name.slice(dot + 1))) ?? 'application/octet-stream';
}

/** Not what is UTF-8 by its definition, and not what has a charset. */
function isText(type: string): boolean {
  return /^text\/(?!vtt\b|cache-manifest\b|xml\b)/i.test(type) && !/;\s*charset\s*=/i.test(type);
}
