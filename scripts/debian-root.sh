#!/bin/sh
# Unpacks Debian packages into a folder, nothing configured and nothing but these: a root file system for tests.
#
#   scripts/debian-root.sh SUITE FOLDER PACKAGE…       as scripts/debian-root.sh trixie /tmp/root libc6 libstdc++6 libgcc-s1
#
# Packages of that suite are fetched with apt into a cache of their own; the machine's own sources stay as they are.
set -eu
suite=$1 root=$2
shift 2
state=${XDG_CACHE_HOME:-$HOME/.cache}/runnel/apt-$suite
mkdir -p "$state/lists/partial" "$state/archives" "$state/debs" "$root"
: >"$state/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main" >"$state/sources.list"

apt() {
  apt-get -qq -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Etc::SourceList="$state/sources.list" \
    -o Dir::Etc::SourceParts=/nonexistent -o Dir::Cache="$state" -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}
[ -n "$(find "$state/lists" -name '*_Packages*' -mtime -1)" ] || apt update
# Where / has bin, lib … as links into /usr, packages that still name /lib go to the same place.
for name in bin sbin lib lib64; do
  mkdir -p "$root/usr/$name"
  [ -e "$root/$name" ] || ln -s "usr/$name" "$root/$name"
done
for package; do
  [ -n "$(find "$state/debs" -name "${package}_*.deb")" ] || (cd "$state/debs" && apt download "$package")
  dpkg-deb --fsys-tarfile "$state/debs/${package}"_*.deb | tar -x --keep-directory-symlink -C "$root"
done
mkdir -p "$root/proc" "$root/dev" "$root/tmp" "$root/var/tmp"
