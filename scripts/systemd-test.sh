#!/bin/sh
# Boots a fresh Debian with systemd as the first process of its own namespaces, installs the package there and does to the service what
# happens to services: reload, a hang, a crash, a passphrase, a socket of systemd, a stop.
#
#   sudo scripts/systemd-test.sh [PACKAGE.deb] [SUITE]     needs debootstrap, openssl, util-linux and a cgroup2 file system that can be written
#
# A machine that does not allow that (no root, no cgroup2 that can be written, no namespaces) is told so, and it ends with 77:
# nothing was tested then. Where all of that is there and systemd does not come up, it has failed.
set -eu
cd "$(dirname "$0")/.."

# Inside: makes a machine out of the namespaces, and becomes systemd.
if [ "${RUNNEL_NAMESPACE:-}" = own ]; then
  root=$1
  mount --make-rprivate /
  ip link set lo up
  mount -t tmpfs -o mode=755 tmpfs "$root"
  tar -xf "$2" -C "$root"
  cp "$3" "$root/package.deb"
  mount -t proc proc "$root/proc"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for name in null zero full random urandom tty; do
    : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
  done
  mkdir "$root/dev/pts" "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  for name in dev/shm run tmp; do mount -t tmpfs tmpfs "$root/$name"; done
  chmod 755 "$root" "$root/run"
  chmod 1777 "$root/tmp" "$root/dev/shm"
  cd "$root"
  mkdir .old
  pivot_root . .old
  umount -l /.old
  # Credentials are mounted elsewhere first, and are to appear here.
  mount --make-rshared /
  exec env -i container=runnel PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=false
fi

package=$(realpath "${1:-$(echo dist/runnel_*_amd64.deb)}") suite=${2:-bookworm}
not_here() {
  echo "SKIPPED, nothing was tested: $*"
  exit 77
}
[ "$(id -u)" -eq 0 ] || not_here "it needs root"
groups=
for place in /sys/fs/cgroup /sys/fs/cgroup/unified; do
  [ "$(stat -f -c %T "$place" 2>/dev/null)" != cgroup2fs ] || groups=$place
done
[ -n "$groups" ] || not_here "there is no cgroup2 file system"
group=$groups/runnel-systemd-$$
mkdir "$group" 2>/dev/null || not_here "$groups cannot be written"
unshare --fork --pid --mount --uts --ipc --net --cgroup true 2>/dev/null || { rmdir "$group" && not_here "no namespaces"; }
archive=$(scripts/debian-base.sh "$suite" systemd)
work=$(mktemp -d)
mkdir "$work/root"
outer= first=
clean() {
  [ -z "$first" ] || kill -KILL "$first" 2>/dev/null || true
  [ -z "$outer" ] || wait "$outer" || true
  # Its groups end with their last process, a moment later.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.2
  done
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 1' INT TERM
(
  echo "$(exec sh -c 'echo $PPID')" >"$group/cgroup.procs" || exit 1
  RUNNEL_NAMESPACE=own exec unshare --fork --kill-child --pid --mount --uts --ipc --net --cgroup --propagation=private \
    "$0" "$work/root" "$archive" "$package"
) >"$work/boot.log" 2>&1 &
outer=$!

# until WHAT COMMAND…: asks until the command succeeds, for half a minute.
until_true() {
  what=$1
  shift
  for _ in $(seq 150); do
    if "$@" >/dev/null 2>&1; then return; fi
    kill -0 "$outer" 2>/dev/null || fail "the machine is gone while waiting: $what"
    sleep 0.2
  done
  fail "in vain: $what"
}
inside() {
  nsenter -t "$first" -m -u -i -n -p -C -r -w -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"
}
fail() {
  echo "failed: $*"
  cat "$work/boot.log"
  [ -z "$first" ] || inside systemctl status --no-pager -l runnel.service runnel.socket || true
  [ -z "$first" ] || inside journalctl --no-pager -b -n 30 || true
  exit 1
}
booted() {
  first=$(cat "/proc/$outer/task/$outer/children") && first=${first%% *}
  [ -n "$first" ] && [ "$(cat "/proc/$first/comm")" = systemd ] && inside systemctl is-system-running | grep -qE '^(running|degraded)$'
}
for _ in $(seq 150); do
  if booted 2>/dev/null; then break; fi
  kill -0 "$outer" 2>/dev/null || break
  sleep 0.2
done
booted 2>/dev/null || { cat "$work/boot.log" && echo "failed: systemd does not start in namespaces" && exit 1; }

shown() { inside systemctl show runnel.service -p "$1" --value; }
is() { [ "$(shown "$1")" = "$2" ] || fail "$1 is $(shown "$1"), not $2"; }
became() { [ "$(shown "$1")" = "$2" ]; }
says() { shown StatusText | grep -qE "$1"; }
put() { inside sh -c "cat >$1"; }
status_of() { inside curl -sk -o /dev/null -w '%{http_code}' --max-time 10 "$@"; }
answers() { [ "$(status_of "$2")" = "$1" ]; }
expect() { answers "$1" "$2" || fail "$2 answers $(status_of "$2"), not $1"; }
# The process of the stream's program. The pattern does not find the shell that it stands in.
program() { inside sh -c 'grep -l "dat[e] +%s" /proc/[0-9]*/cmdline 2>/dev/null' || true; }
step() { echo "- $*"; }
reload() { inside systemctl reload runnel || fail "systemctl reload"; }

step "installing the package starts the service, which says when it is ready"
inside dpkg -i /package.deb >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" && fail "dpkg -i"; }
is ActiveState active
is StatusText '127.0.0.1:8080; 3 streams, 0 clients'
expect 200 http://127.0.0.1:8080/
expect 200 http://127.0.0.1:8080/cgi-bin/status.cgi
inside sh -c 'timeout 20 curl -sN http://127.0.0.1:8080/live/machine | grep -qm1 uptime' || fail "the stream"

step "what the sandbox allows programs, and what not"
inside mkdir -p /srv/cgi
put /srv/cgi/sandbox <<'CGI'
#!/bin/sh
printf 'Content-Type: text/plain\n\n'
try() { if eval "$2" 2>/dev/null; then echo "$1 yes"; else echo "$1 no"; fi; }
try state 'echo >/var/lib/runnel/written'
try tmp 'echo >/tmp/written'
try etc 'echo >/etc/runnel/written'
try home '[ -n "$(ls /home)" ]'
try devices '[ -e /dev/kmsg ]'
echo "user $(id -un)"
sed -n 's/^CapEff:\t*/capabilities /p' /proc/self/status
CGI
inside chmod 755 /srv/cgi/sandbox
inside mkdir -p /home/somebody
put /etc/runnel/runnel.toml <<'TOML'
[[listen]]
address = ":80"
[static."/"]
root = "/usr/share/doc/runnel"
[cgi."/cgi-bin/"]
root = "/srv/cgi"
[stream."/live"]
command = ["sh", "-c", "while :; do date +%s%N; sleep 0.1; done"]
share = "all"
[stream."/other"]
command = ["cat"]
TOML
pid=$(shown MainPID)
reload
until_true "the low port" answers 200 http://127.0.0.1/copyright
is MainPID "$pid"
is StatusText ":80; 2 streams, 0 clients"
found=$(inside curl -s http://127.0.0.1/cgi-bin/sandbox)
[ "$found" = "state yes
tmp yes
etc no
home no
devices no
user runnel
capabilities 0000000000000000" ] || fail "the sandbox: $found"
inside test ! -e /tmp/written || fail "its /tmp is everybody's"

step "systemctl reload: a viewer of a stream that did not change does not notice; an error changes nothing and is shown"
inside sh -c 'curl -sN http://127.0.0.1/live >/viewer 2>/dev/null & echo $! >/viewer.pid'
until_true "the first message" inside test -s /viewer
before=$(program)
[ -n "$before" ] || fail "the stream has no program"
echo '[static."/added/"]
root = "/usr/share/doc/runnel"' | inside sh -c 'cat >>/etc/runnel/runnel.toml'
reload
until_true "the new route" answers 200 http://127.0.0.1/added/copyright
echo '[static."/half' | inside sh -c 'cat >>/etc/runnel/runnel.toml'
if inside systemctl reload runnel 2>"$work/reload"; then fail "systemctl reload takes a configuration with an error"; fi
grep -q 'Job for runnel.service failed' "$work/reload" || fail "systemctl reload says $(cat "$work/reload")"
inside journalctl -b -u runnel --no-pager | grep -q '1 problem found, checked as the user runnel, in the sandbox of runnel.service' || fail "the journal"
says "^:80; 2 streams, [01] clients?$" || fail "the status says $(shown StatusText)"
is ActiveState active
# A signal that comes past "systemctl reload" changes nothing either, and what came of it is shown.
inside sh -c "kill -HUP $pid"
until_true "what systemctl status says" says "^:80; 2 streams, [01] clients?; the last reload failed: 1 problem$"
is ActiveState active
is MainPID "$pid"
expect 200 http://127.0.0.1/added/copyright
inside sed -i '$d' /etc/runnel/runnel.toml
reload
# The viewer that is there all the time.
until_true "a status without complaint, and with its clients" says "^:80; 2 streams, 1 client$"
inside sh -c 'kill -0 $(cat /viewer.pid)' || fail "the viewer was dropped"
size=$(inside stat -c %s /viewer)
until_true "another message" inside sh -c "[ \$(stat -c %s /viewer) -gt $size ]"
[ "$(program)" = "$before" ] || fail "its program $before has become $(program)"

step "check, as root types it, judges for the service: its user and its sandbox"
inside cp /etc/runnel/runnel.toml /srv/good.toml
judged() { if inside runnel check >"$work/check" 2>&1; then echo ok; else echo refused; fi; }
[ "$(judged)" = ok ] || fail "$(cat "$work/check")"
grep -q 'checked as the user runnel, in the sandbox of runnel.service$' "$work/check" || fail "$(cat "$work/check")"
printf '#!/bin/sh\ncat\n' | put /home/somebody/prog.sh
inside chmod 755 /home/somebody/prog.sh
echo '[stream."/home"]
command = ["/home/somebody/prog.sh"]' | inside sh -c 'cat >>/etc/runnel/runnel.toml'
[ "$(judged)" = refused ] || fail "a program in /home: $(cat "$work/check")"
grep -q 'stream."/home".command\[0\].*ProtectHome=yes' "$work/check" || fail "$(cat "$work/check")"
inside runnel check -c /srv/good.toml | grep -q 'checked as the user root$' || fail "another file is judged for who asks"
if inside systemctl reload runnel 2>/dev/null; then fail "systemctl reload takes a program in /home"; fi
expect 200 http://127.0.0.1/copyright
# What the service sees, it may run.
inside mkdir -p /etc/systemd/system/runnel.service.d
printf '[Service]\nProtectHome=read-only\n' | put /etc/systemd/system/runnel.service.d/home.conf
[ "$(judged)" = ok ] || fail "ProtectHome=read-only: $(cat "$work/check")"
inside rm /etc/systemd/system/runnel.service.d/home.conf
# A file of the service's group: what somebody else may not read is fine for the service, and the other way round.
inside runnel token ann >"$work/token"
grep '^ann:' "$work/token" | put /etc/runnel/tokens
{ inside cat /srv/good.toml; echo '[static."/secret/"]
root = "/usr/share/doc/runnel"
auth = { tokens = "tokens" }'; } | put /etc/runnel/runnel.toml
inside chmod 640 /etc/runnel/tokens
[ "$(judged)" = refused ] || fail "a file of root's group: $(cat "$work/check")"
grep -q 'tokens.*may not be read by the user runnel' "$work/check" || fail "$(cat "$work/check")"
inside chgrp runnel /etc/runnel/tokens
[ "$(judged)" = ok ] || fail "a file of the service's group: $(cat "$work/check")"
asked=$(inside setpriv --reuid=1 --regid=1 --clear-groups runnel check 2>&1) || fail "asked by somebody else: $asked"
echo "$asked" | grep -q 'was not checked, because' || fail "asked by somebody else: $asked"
reload
expect 401 http://127.0.0.1/secret/copyright
inside cp /srv/good.toml /etc/runnel/runnel.toml
reload

step "a configuration that is wrong at the start is not tried again and again"
echo '[static."/half' | inside sh -c 'cat >>/etc/runnel/runnel.toml'
if inside systemctl restart runnel 2>/dev/null; then fail "it starts"; fi
# Longer than RestartSec=.
sleep 3
is ActiveState failed
is NRestarts 0
is ExecMainStatus 1
inside journalctl -b -u runnel --no-pager | grep -q '1 problem found: the gateway does not start' || fail "the journal"
inside cp /srv/good.toml /etc/runnel/runnel.toml
inside systemctl restart runnel || fail "systemctl restart"

step "the journal knows what is how important, and a request is never a warning"
{ inside cat /srv/good.toml; echo '[stream."/fails"]
command = ["sh", "-c", "echo out of paper >&2; exit 3"]
share = "all"'; } | put /etc/runnel/runnel.toml
reload
found_at() { inside journalctl -b -u runnel --no-pager -p "$1" | grep -q "$2"; }
inside sh -c 'timeout 5 curl -sN http://127.0.0.1/fails >/dev/null 2>&1 &'
until_true "the warning of a program that fails" found_at warning '"level":"warn".*/fails.*out of paper'
if found_at err 'out of paper'; then fail "a program that fails is an error"; fi
echo '[static."/half' | inside sh -c 'cat >>/etc/runnel/runnel.toml'
inside sh -c "kill -HUP $(shown MainPID)"
until_true "the error of a reload" found_at err 'the configuration is not reloaded'
expect 404 http://127.0.0.1/nothing-there
until_true "the line of a request" found_at info 'GET /nothing-there'
if found_at notice 'GET /'; then fail "a request is more than information"; fi
if inside journalctl -b -u runnel --no-pager | grep -qE '(^|: )<[0-7]>'; then fail "the level stands in the line"; fi

step "files of the log below /var/log/runnel, turned over as /etc/logrotate.d/runnel says"
{ inside cat /srv/good.toml; echo '[log]
file = "/var/log/runnel/runnel.log"
requests = { file = "/var/log/runnel/access.log" }'; } | put /etc/runnel/runnel.toml
[ "$(judged)" = ok ] || fail "$(cat "$work/check")"
inside systemctl restart runnel || fail "systemctl restart"
[ "$(inside stat -c '%U %a' /var/log/runnel)" = "runnel 750" ] || fail "its folder: $(inside ls -ld /var/log/runnel)"
[ "$(inside stat -c '%U %a' /var/log/runnel/access.log)" = "runnel 640" ] || fail "its file: $(inside ls -l /var/log/runnel)"
expect 404 http://127.0.0.1/before
until_true "its line" inside grep -q 'GET /before' /var/log/runnel/access.log
# What logrotate would do; it is not installed here.
inside mv /var/log/runnel/access.log /var/log/runnel/access.log.1
inside sh -c "$(inside sed -n '/postrotate/,/endscript/{/script/d;/rotate$/d;p}' /etc/logrotate.d/runnel)"
until_true "a new file" inside test -e /var/log/runnel/access.log
expect 404 http://127.0.0.1/behind
until_true "its line" inside grep -q 'GET /behind' /var/log/runnel/access.log
is ActiveState active
# A file that is somebody else's is told before the service fails at it.
inside chown root:root /var/log/runnel/runnel.log
[ "$(judged)" = refused ] || fail "a log of root's: $(cat "$work/check")"
grep -q 'log.file.*may not be written to by the user runnel' "$work/check" || fail "$(cat "$work/check")"
inside cp /srv/good.toml /etc/runnel/runnel.toml
inside systemctl restart runnel || fail "systemctl restart"

step "a gateway that hangs is ended by the watchdog and started again"
put /etc/systemd/system/runnel.service.d/test.conf <<'UNIT'
[Service]
WatchdogSec=2s
UNIT
inside systemctl daemon-reload
inside systemctl restart runnel || fail "systemctl restart"
# Longer than the watchdog: it is fed.
sleep 3
is NRestarts 0
pid=$(shown MainPID)
inside sh -c "kill -STOP $pid"
until_true "the restart" became NRestarts 1
until_true "the page" answers 200 http://127.0.0.1/copyright
inside journalctl -b -u runnel --no-pager | grep -q "Watchdog timeout" || fail "it was not the watchdog"

step "a crash takes its programs along, and it is started again"
inside sh -c 'curl -sN http://127.0.0.1/live >/viewer 2>/dev/null & true'
has_program() { [ -n "$(program)" ]; }
has_none() { [ -z "$(program)" ]; }
until_true "its program" has_program
inside sh -c "kill -KILL $(shown MainPID)"
until_true "the restart" became NRestarts 2
until_true "the page" answers 200 http://127.0.0.1/copyright
until_true "the end of the program of the one that crashed" has_none

step "an encrypted key, its passphrase by LoadCredential"
openssl req -x509 -newkey rsa:2048 -days 2 -subj /CN=board.test -addext subjectAltName=DNS:board.test \
  -passout pass:correct-horse -keyout "$work/key" -out "$work/pem" 2>"$work/openssl.log" || { cat "$work/openssl.log" && fail openssl; }
inside mkdir -p -m 700 /etc/runnel/secrets
printf 'correct-horse\n' | put /etc/runnel/secrets/board.pass
inside chmod 600 /etc/runnel/secrets/board.pass
put /etc/runnel/board.key <"$work/key"
put /etc/runnel/board.pem <"$work/pem"
inside chgrp runnel /etc/runnel/board.key
inside chmod 640 /etc/runnel/board.key
cat <<'UNIT' | inside sh -c 'cat >>/etc/systemd/system/runnel.service.d/test.conf'
LoadCredential=board.pass:/etc/runnel/secrets/board.pass
UNIT
cat <<'TOML' | inside sh -c 'cat >>/etc/runnel/runnel.toml'
[[listen]]
address = ":443"
tls = { certificate = "board.pem", key = "board.key", passphrase_credential = "board.pass" }
TOML
inside systemctl daemon-reload
inside systemctl restart runnel || fail "systemctl restart"
expect 200 https://127.0.0.1/copyright
# What starts for a reload gets no credentials: check says so, and is no reason to refuse.
reload
expect 200 https://127.0.0.1/copyright
openssl req -x509 -newkey rsa:2048 -days 2 -subj /CN=next.test -addext subjectAltName=DNS:next.test \
  -passout pass:correct-horse -keyout "$work/key" -out "$work/pem" 2>"$work/openssl.log" || { cat "$work/openssl.log" && fail openssl; }
inside systemctl stop runnel
put /etc/runnel/board.key <"$work/key"
put /etc/runnel/board.pem <"$work/pem"
inside systemctl start runnel || fail "systemctl start"
inside journalctl -b -u runnel --no-pager | grep -q "new certificates are served" && fail "new certificates at a reload of the same"
[ "$(judged)" = ok ] || fail "$(cat "$work/check")"
grep -q 'passphrase_credential: systemd gives it only to the service' "$work/check" || fail "$(cat "$work/check")"

step "a socket of systemd: it starts the service, and refuses nobody while that restarts"
inside systemctl stop runnel
is Result success
inside sed -i 's/^address = ":80"/address = "systemd:http"/' /etc/runnel/runnel.toml
put /etc/systemd/system/runnel.socket <deploy/systemd/runnel.socket
inside systemctl daemon-reload
inside systemctl start runnel.socket
is ActiveState inactive
expect 200 http://127.0.0.1/copyright
is ActiveState active
inside sh -c 'systemctl restart runnel & for i in 1 2 3 4 5 6 7 8 9 10; do curl -s -o /dev/null -w "%{http_code} " --max-time 20 http://127.0.0.1/copyright; done; wait' >"$work/codes"
[ "$(cat "$work/codes")" = "200 200 200 200 200 200 200 200 200 200 " ] || fail "while it restarted: $(cat "$work/codes")"
reload
until_true "a status" became ActiveState active
expect 200 http://127.0.0.1/copyright

step "stopping is clean"
inside systemctl stop runnel.socket runnel.service
is ActiveState inactive
is Result success
is ExecMainStatus 0

step "purging leaves nothing behind, private keys included"
inside runnel tls self-signed board.test --out /etc/runnel/tls >/dev/null || fail "tls self-signed"
inside dpkg -P runnel >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" && fail "dpkg -P"; }
if inside test -e /etc/runnel || inside test -e /var/lib/runnel || inside test -e /var/log/runnel; then fail "left: $(inside find /etc/runnel /var/lib/runnel /var/log/runnel)"; fi
echo "passed, on systemd $(inside systemctl --version | sed -n '1s/systemd //p')"
