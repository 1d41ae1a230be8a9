#!/bin/sh
# The same line as live.sh prints, the way it has been done since 1993: the page asks again and again, and each time the
# server starts this program, which prints a head, an empty line and a body, and ends.

. "${0%/*}/../sample.sh"

printf 'Content-Type: application/json\n'
printf 'Cache-Control: no-store\n'
printf '\n'
sample
