# Reads this machine's state from /proc and prints it as one line of JSON.
#
# live.sh and cgi-bin/status.cgi both source this file, so that the page compares two ways of delivery and nothing else.
# Only the shell's own read, case and printf are used: taking a sample starts no process. Counters (CPU time in ticks,
# network bytes) are printed as the kernel has them; the page makes rates from the difference between two samples.

sample() {
  uptime='' cpu='' total='' available='' free=0 buffers=0 cached=0 uplink='' net='' temperature=null

  # When the sample was taken: seconds since boot, to 10 ms. This is the one clock that a shell can read by itself.
  read -r uptime _ </proc/uptime

  # "0.31 0.25 0.20 2/154 9071": three averages, then running and existing tasks.
  read -r load1 load5 load15 tasks _ </proc/loadavg

  # "cpu …" is the whole machine, "cpu0 …", "cpu1 …" the cores; they come first. The long "intr" line is not read.
  while read -r name user nice system idle iowait irq softirq steal _; do
    case $name in
      cpu) ;;
      cpu[0-9]*) cpu="$cpu,[$user,$nice,$system,$idle,$iowait,$irq,$softirq,${steal:-0}]" ;;
      *) break ;;
    esac
  done </proc/stat

  while read -r name value _; do
    case $name in
      MemTotal:) total=$value ;;
      MemFree:) free=$value ;;
      MemAvailable:) available=$value ;;
      Buffers:) buffers=$value ;;
      Cached:) cached=$value && break ;;
    esac
  done </proc/meminfo
  # Kernels before 3.14 do not say what is available.
  available=${available:-$((free + buffers + cached))}

  # The interface of the default route (destination 0.0.0.0), or every one but the loopback where there is no such route.
  if [ -r /proc/net/route ]; then
    while read -r interface destination _; do
      case $destination in 00000000) uplink=$interface && break ;; esac
    done </proc/net/route
  fi
  # "  eth0: received-bytes 7 columns sent-bytes …"; old kernels leave no space behind the colon.
  while IFS=': ' read -r interface rx _ _ _ _ _ _ _ tx _; do
    case $interface in
      Inter-* | face* | lo) ;;
      "${uplink:-$interface}") net="$net,\"$interface\":[$rx,$tx]" ;;
    esac
  done </proc/net/dev

  # Boards have this one, virtual machines mostly do not. In thousandths of a degree Celsius.
  if [ -r /sys/class/thermal/thermal_zone0/temp ]; then
    read -r temperature </sys/class/thermal/thermal_zone0/temp || temperature=null
  fi

  read -r host </proc/sys/kernel/hostname
  read -r kernel </proc/sys/kernel/osrelease

  printf '{"host":"%s","kernel":"%s","uptime":%s,"load":[%s,%s,%s],"tasks":[%s,%s],"memory":[%s,%s],"cpu":[%s],"net":{%s},"temperature":%s}\n' \
    "$host" "$kernel" "$uptime" "$load1" "$load5" "$load15" "${tasks%/*}" "${tasks#*/}" \
    "$total" "$available" "${cpu#,}" "${net#,}" "${temperature:-null}"
}
