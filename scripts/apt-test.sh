#!/bin/sh
# Makes a signed repository out of a Debian package, serves it with runnel, and lets apt of a fresh Debian install and upgrade from it, and
# refuse what was tampered with.
#
#   sudo scripts/apt-test.sh [PACKAGE.deb] [SUITE…]     needs curl, debootstrap, dpkg-dev, gpg, openssl; the first run for a suite fetches 40 MB
#
# Without a suite: bookworm and trixie. It ends with 77 where there is no root or there are no namespaces: nothing was tested then.
set -eu
cd "$(dirname "$0")/.."

if [ "${RUNNEL_NAMESPACE:-}" != own ]; then
  package=$(realpath "${1:-$(echo dist/runnel_*_amd64.deb)}")
  [ $# -eq 0 ] || shift
  [ $# -gt 0 ] || set -- bookworm trixie
  not_here() {
    echo "SKIPPED, nothing was tested: $*"
    exit 77
  }
  [ "$(id -u)" -eq 0 ] || not_here "it needs root"
  unshare --mount --net --propagation=private true 2>/dev/null || not_here "no namespaces"
  for suite; do scripts/debian-base.sh "$suite" >/dev/null; done
  # In namespaces of its own, so that nothing stays mounted and no port is another one's.
  RUNNEL_NAMESPACE=own exec unshare --mount --net --propagation=private "$0" "$package" "$@"
fi

package=$1
shift
ip link set lo up
work=$(mktemp -d)
gateway=
trap '[ -z "$gateway" ] || kill "$gateway"; umount -l "$work"; rmdir "$work"' EXIT
trap 'exit 1' INT TERM
mount -t tmpfs tmpfs "$work"
mkdir "$work/site" "$work/debs" "$work/next" "$work/root"
chmod 755 "$work"
fail() {
  echo "failed: $*"
  for log in "$work/apt.log" "$work/serve.log"; do [ ! -e "$log" ] || cat "$log"; done
  exit 1
}
step() { echo "- $*"; }

# A key that nobody needs afterwards, in a home of its own.
key() {
  mkdir -m 700 "$work/home"
  export GNUPGHOME="$work/home"
  gpg --batch --quiet --pinentry-mode loopback --passphrase "$2" --quick-generate-key "$1" ed25519 sign never 2>/dev/null
  gpg --batch --quiet --pinentry-mode loopback --passphrase "$2" --armor --export-secret-keys >"$work/$1.key"
  gpgconf --kill gpg-agent
  unset GNUPGHOME
  rm -r "$work/home"
}
# repository SECONDS KEY FOLDER-OF-PACKAGES: adds them to the site.
repository() {
  SOURCE_DATE_EPOCH=$(($(date +%s) - 3600 + $1)) RUNNEL_APT_KEY_FILE="$work/$2.key" RUNNEL_APT_PASSPHRASE_FILE="$work/passphrase" \
    node scripts/package-apt.mjs --into "$work/site" --from "$3" --address "$address"
}

step "a key, and a further version of the package"
printf secret >"$work/passphrase"
key own secret
key strange secret
cp "$package" "$work/debs/runnel_0.1.0_amd64.deb"
dpkg-deb -R "$package" "$work/unpacked"
sed -i 's/^Version: .*/Version: 99.1/' "$work/unpacked/DEBIAN/control"
dpkg-deb -Znone --root-owner-group --build "$work/unpacked" "$work/next/runnel_99.1_amd64.deb" >/dev/null
runnel=$work/unpacked/usr/bin/runnel

serve() {
  "$runnel" serve -c "$work/runnel.toml" >"$work/serve.log" 2>&1 &
  gateway=$!
  until grep -q '"ready"' "$work/serve.log"; do kill -0 $gateway || { gateway= && fail "runnel does not start"; }; done
}
stop() {
  kill $gateway
  wait $gateway || true
  gateway=
}
# Waits until the gateway serves the indexes as they are now: for a second after it has looked at a file it serves what it saw.
changed() {
  find "$work/site/dists" -type f -printf 'dists/%P\n' >"$work/indexes"
  while read -r path; do
    until curl -fsk "$address/$path" | cmp -s - "$work/site/$path"; do
      kill -0 "$gateway" || fail "runnel has ended"
      sleep 0.1
    done
  done <"$work/indexes"
}
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }
# apt ARGUMENT…: a warning is a failure, too; what it fetched is in the log.
apt() {
  inside apt-get -q -y -o Dpkg::Use-Pty=false -o APT::Update::Error-Mode=any "$@" >"$work/apt.log" 2>&1 && ! grep -E '^(W|E|Err)' "$work/apt.log"
}
# refused PATTERN: apt update fails, and says why.
refused() {
  ! apt update || fail "apt took it"
  grep -qE "$1" "$work/apt.log" || fail "apt did not say $1"
}
version() { inside dpkg-query -W -f '${Version}' runnel; }

for suite; do
  # The oldest by http, the others by https with an authority of one's own.
  if [ "$suite" = bookworm ]; then address=http://127.0.0.1:8080; else address=https://localhost:8080; fi
  step "$suite, from $address"
  root=$work/root/$suite
  mkdir "$root"
  tar -xf "$(scripts/debian-base.sh "$suite")" -C "$root"
  chmod 755 "$root"
  mount -t proc proc "$root/proc"
  mount --bind /dev "$root/dev"
  rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* "$root"/etc/resolv.conf
  printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
  # No service may start in there.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  rm -rf "$work/site"
  repository 1 own "$work/debs"
  sed "s|\.\./\.\./dist/apt|$work/site|" deploy/apt/runnel.toml >"$work/runnel.toml"
  case $address in https:*)
    "$runnel" tls self-signed localhost --out "$work/tls" >/dev/null
    sed -i "s|^address.*|&\ntls = { certificate = \"$work/tls/server.pem\", key = \"$work/tls/server.key\" }|" "$work/runnel.toml"
    cp "$work/tls/ca.pem" "$root/usr/local/share/ca.crt"
    echo 'Acquire::https::CAInfo "/usr/local/share/ca.crt";' >"$root/etc/apt/apt.conf.d/own-authority"
    ;;
  esac
  serve
  inside curl -fsS --cacert /usr/local/share/ca.crt -o /etc/apt/sources.list.d/runnel.sources "$address/runnel.sources" 2>/dev/null ||
    inside curl -fsSo /etc/apt/sources.list.d/runnel.sources "$address/runnel.sources" || fail "runnel.sources"

  step "$suite: install"
  apt update || fail "apt update"
  grep -qE '^Get.* InRelease' "$work/apt.log" || fail "InRelease was not fetched"
  apt install runnel || fail "apt install"
  [ "$(version)" = "$(dpkg-deb -f "$package" Version)" ] || fail "the version is $(version)"
  inside runnel version
  apt update || fail "apt update again"
  grep -qE '^Hit.* InRelease' "$work/apt.log" || fail "what did not change was fetched again"

  step "$suite: upgrade"
  repository 2 own "$work/next"
  changed
  apt update || fail "apt update"
  inside apt-cache policy runnel | grep -q 'Candidate: 99.1' || fail "there is no new version"
  apt upgrade || fail "apt upgrade"
  [ "$(version)" = 99.1 ] || fail "the version is $(version)"
  inside apt-cache madison runnel | grep -q " $(dpkg-deb -f "$package" Version) " || fail "the old version has gone"

  step "$suite: tampered lists, packages and keys are refused"
  cp -a "$work/site" "$work/good"
  # By its name and by its digest.
  find "$work/site/dists" -name 'Packages*' -delete
  for file in Packages Packages.gz Packages.xz; do sed 's/99\.1/99.2/' "$work/good/dists/stable/main/binary-amd64/Packages" >"$work/site/dists/stable/main/binary-amd64/$file"; done
  for file in "$work"/site/dists/stable/main/binary-amd64/by-hash/SHA256/*; do cp "$work/site/dists/stable/main/binary-amd64/Packages" "$file"; done
  inside sh -c 'rm -rf /var/lib/apt/lists/*'
  changed
  refused 'Hash Sum mismatch|File has unexpected size'
  cp -a "$work/good/." "$work/site/"
  sed -i 's/^Suite: .*/Suite: stabil/' "$work/site/dists/stable/InRelease"
  changed
  refused 'not signed|invalid|BAD|Bad'
  cp -a "$work/good/." "$work/site/"
  changed
  apt update || fail "apt update of the good one"
  # Not the one that it has already.
  inside apt-get clean
  old=$(dpkg-deb -f "$package" Version)
  printf x | dd of="$(echo "$work"/site/pool/main/r/runnel/runnel_0.1.0_amd64.deb)" bs=1 seek=1000 conv=notrunc 2>/dev/null
  ! apt install --allow-downgrades "runnel=$old" || fail "apt installed a damaged package"
  grep -qE 'Hash Sum mismatch' "$work/apt.log" || fail "not because of its digest"
  rm -rf "$work/site" "$work/good"
  repository 3 strange "$work/next"
  changed
  refused 'NO_PUBKEY|not signed|Missing key'
  stop
  umount "$root/dev" "$root/proc"
  rm -rf "$root"
done
echo "apt installs, upgrades and refuses on $*"
