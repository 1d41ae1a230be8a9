#!/bin/sh
# Makes an archive of a fresh Debian, once, and prints its path: little but dpkg, adduser and curl, and the packages that are named.
#
#   scripts/debian-base.sh SUITE [PACKAGE…]       as root; needs debootstrap; the first run fetches 40 MB
set -eu
suite=$1
shift
cache=${XDG_CACHE_HOME:-$HOME/.cache}/runnel
name=$suite
for package; do name=$name-$package; done
archive=$cache/$name.tar
if [ ! -e "$archive" ]; then
  mkdir -p "$cache"
  fresh=$(mktemp -d)
  if [ $# -eq 0 ]; then
    debootstrap --variant=minbase --include=adduser,curl "$suite" "$fresh" >"$fresh.log" 2>&1 || { tail "$fresh.log" >&2 && exit 1; }
  else
    tar -xf "$("$0" "$suite")" -C "$fresh"
    cp /etc/resolv.conf "$fresh/etc/resolv.conf"
    DEBIAN_FRONTEND=noninteractive chroot "$fresh" apt-get install -y -qq --no-install-recommends "$@" >"$fresh.log" 2>&1 || { tail "$fresh.log" >&2 && exit 1; }
  fi
  tar -cf "$archive.new" -C "$fresh" . && mv "$archive.new" "$archive"
  rm -rf "$fresh" "$fresh.log"
fi
echo "$archive"
