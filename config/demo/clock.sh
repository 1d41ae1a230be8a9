#!/bin/sh
# Prints pictures of a clock, as JPEG, one behind the other, for as long as somebody reads them: a camera without a camera.
#
#   clock.sh [SECONDS]     try it in a terminal: clock.sh | head -c 100000 >clock.jpg, and open that
#
# Runnel finds the pictures by their markers (framing = "jpeg"). The picture is made by the shell alone: it consists of
# blocks of 8 by 8 pixels, of which there are three kinds. Each is encoded once (ITU-T T.81), and because a restart marker
# stands behind every block, none depends on the one before it. So a picture is its head and these bytes in a row.

pause=${1:-0.2}
width=35 height=10

# ---- the blocks ----

# Sets "bits" to the lowest $2 bits of $1.
bits() {
  value=$1 left=$2 bits=''
  while [ "$left" -gt 0 ]; do
    bits=$((value & 1))$bits value=$((value >> 1)) left=$((left - 1))
  done
}

# Adds a first coefficient to "code": its class in four bits, and so many bits of its own; a negative one is less by one.
first() {
  size=0 absolute=${1#-}
  while [ $((absolute >> size)) -gt 0 ]; do size=$((size + 1)); done
  bits "$size" 4 && code=$code$bits
  case $1 in
    -*) bits $(($1 + (1 << size) - 1)) "$size" ;;
    *) bits "$1" "$size" ;;
  esac
  code=$code$bits
}

# Sets "block" to the bytes of a block, as printf takes them: brightness, two differences of colour, and whether it is a dot.
encode() {
  code='' block=''
  first "$1"
  # A dot has two more coefficients, -28 each, which make its middle bright and its edge dark: where they stand, and five bits.
  [ "$4" = dot ] && code=${code}01000111000011
  code=${code}00
  first "$2" && code=${code}00
  first "$3" && code=${code}00
  # Filled up with ones to whole bytes. A byte of ones alone would begin a marker: a byte of zeros behind it says that it does not.
  while [ $((${#code} % 8)) -ne 0 ]; do code=${code}1; done
  while [ -n "$code" ]; do
    rest=${code#????????} byte=0 eight=${code%"${code#????????}"}
    while [ -n "$eight" ]; do
      case $eight in 1*) byte=$((byte * 2 + 1)) ;; *) byte=$((byte * 2)) ;; esac
      eight=${eight#?}
    done
    octal=$((byte / 64))$((byte / 8 % 8))$((byte % 8))
    block="$block\\$octal" code=$rest
    [ "$byte" -eq 255 ] && block="$block\\000"
  done
}

encode 40 -90 48 dot
lit=$block
encode -100 -6 4 dot
dark=$block
encode -112 2 0 flat
back=$block

# ---- the head of each picture ----

# Sets "some" to $1, $2 times.
some() {
  some='' count=$2
  while [ "$count" -gt 0 ]; do some=$some$1 count=$((count - 1)); done
}

octal2() { octal2="\\$(($1 / 16384))$(($1 / 2048 % 8))$(($1 / 256 % 8))\\$(($1 / 64 % 4))$(($1 / 8 % 8))$(($1 % 8))"; }

head='\377\330'
# One table of divisors: 8 for each of 64 coefficients.
some '\010' 64 && head="$head\\377\\333\\000\\103\\000$some"
# The size, and three components that share everything.
octal2 $((height * 8)) && head="$head\\377\\300\\000\\021\\010$octal2"
octal2 $((width * 8)) && head="$head$octal2\\003\\001\\021\\000\\002\\021\\000\\003\\021\\000"
# Two tables of codes. First coefficients: twelve classes of four bits. Others: the end, "two zeros and five bits", "one zero and five bits".
head="$head\\377\\304\\000\\037\\000\\000\\000\\000\\014\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000"
head="$head\\000\\001\\002\\003\\004\\005\\006\\007\\010\\011\\012\\013"
some '\000' 14 && head="$head\\377\\304\\000\\026\\020\\000\\003$some\\000\\045\\025"
# A restart marker behind every block. Then the one scan.
head="$head\\377\\335\\000\\004\\000\\001"
head="$head\\377\\332\\000\\014\\003\\001\\000\\002\\000\\003\\000\\000\\077\\000"

# ---- digits of seven bars, four blocks wide and seven high ----

# Sets the rows of a digit: its name, and the bars a to g that are lit.
digit() {
  for bar in a b c d e f g; do
    case $2 in *$bar*) eval "$bar=l" ;; *) eval "$bar=d" ;; esac
  done
  eval "r0_$1='b $a $a b b' r1_$1='$f b b $b b' r2_$1='b $g $g b b' r3_$1='$e b b $c b' r4_$1='b $d $d b b'"
}
digit 0 abcdef && digit 1 bc && digit 2 abdeg && digit 3 abcdg && digit 4 bcfg
digit 5 acdfg && digit 6 acdefg && digit 7 abc && digit 8 abcdefg && digit 9 abcdfg

# ---- the time ----

# Sets "day" to the hundredths of a second of this day, and "up" to those since boot, which the shell can read by itself.
uptime() {
  read -r up _ </proc/uptime || exit 1
  up=$((${up%.*} * 100 + 1${up#*.} - 100))
}
look() {
  IFS=: read -r h m s <<END
$(date +%H:%M:%S)
END
  uptime
  day=$((((1$h - 100) * 60 + 1$m - 100) * 6000 + (1$s - 100) * 100)) since=$up
}

# Sets "cells" to one row of all six digits: which of their rows, and what is between hours, minutes and seconds.
row() {
  cells="$cells b"
  for place in "$((hour / 10))" "$((hour % 10))" : "$((minute / 10))" "$((minute % 10))" : "$((second / 10))" "$((second % 10))"; do
    case $place in
      :) cells="$cells $2 b" ;;
      *) eval "cells=\"\$cells \$r$1_$place\"" ;;
    esac
  done
}

look
some ' b' "$width" && empty=$some
while :; do
  uptime
  now=$(((day + up - since) % 8640000))
  hour=$((now / 360000)) minute=$((now / 6000 % 60)) second=$((now / 100 % 60))
  cells=$empty
  row 0 b && row 1 b && row 1 l && row 2 b && row 3 l && row 3 b && row 4 b
  cells="$cells$empty"
  # How far this second is.
  some ' l' $(((now % 100) * width / 100 + 1)) && bar=$some
  some ' d' $((width - (now % 100) * width / 100 - 1)) && cells="$cells$bar$some"

  picture=$head marker='' number=0
  for cell in $cells; do
    case $cell in
      l) picture="$picture$marker$lit" ;;
      d) picture="$picture$marker$dark" ;;
      *) picture="$picture$marker$back" ;;
    esac
    marker="\\377\\32$number" number=$(((number + 1) & 7))
  done
  # This fails when the reader has gone, also where SIGPIPE is ignored and does not end the shell by itself.
  # shellcheck disable=SC2059
  printf "$picture\\377\\331" || exit 1
  # POSIX promises sleep whole seconds only; a small busybox keeps to that.
  sleep "$pause" 2>/dev/null || { pause=1 && sleep 1; } || exit 1
  [ $((up - since)) -gt 6000 ] && look
done
