#!/bin/sh
# Prints the state of this machine as a line of JSON, twice a second, for as long as somebody reads it.
#
#   live.sh [SECONDS]      try it in a terminal: it knows nothing of browsers and WebSocket, it only prints lines
#
# Runnel makes each line a message. Nothing here flushes anything: a shell's printf is written at once. (A C program that
# prints through stdio would hold its lines back until 4 KiB have come together, because its output is a pipe.)

case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
. "$here/sample.sh"

pause=${1:-0.5}

# The printf fails when the reader has gone, also where SIGPIPE is ignored and does not end the shell by itself.
while sample; do
  # POSIX promises sleep whole seconds only; a small busybox keeps to that.
  sleep "$pause" 2>/dev/null || { pause=1 && sleep 1; } || exit 1
done
