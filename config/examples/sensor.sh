#!/bin/sh
# Prints the temperature of the processor every second, or the load where the machine has no such sensor.
# Replace the body of the loop by whatever reads your sensor: runnel makes each printed line a message.
zone=/sys/class/thermal/thermal_zone0/temp

while :; do
  time=$(date +%T)
  if [ -r "$zone" ] && read -r value <"$zone"; then
    echo "$time  $((value / 1000)).$((value % 1000 / 100)) °C"
  else
    read -r value _ </proc/loadavg
    echo "$time  load $value"
  fi || exit 1 # The reader has gone.
  sleep 1
done
