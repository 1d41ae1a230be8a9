#!/bin/sh
# Starts runnel as an add-on of Home Assistant, as the user runnel. The first time it puts a configuration and a page into the add-on's folder.
#
#   run.sh [FOLDER [OPTIONS [COMMAND…]]]      the add-on's folder, the file with its options, and what starts runnel: others for tests
set -eu
here=$(dirname "$0")
folder=${1:-/config} options=${2:-/data/options.json}
[ $# -lt 2 ] || shift 2
[ $# -gt 0 ] || set -- setpriv --reuid=runnel --regid=runnel --clear-groups runnel

name=$(sed -n 's/.*"configuration": *"\([A-Za-z0-9_-]*\.toml\)".*/\1/p' "$options")
file=$folder/${name:-runnel.toml}
if [ ! -e "$file" ]; then
  cp "$here/runnel.toml" "$file"
  [ -e "$folder/www" ] || cp -R "$here/www" "$folder/www"
  mkdir -p "$folder/cgi-bin"
fi
exec "$@" serve -c "$file"
