#!/bin/sh
# Installs, upgrades, removes and purges the Debian package in a fresh Debian, and looks at what is there after each step.
#
#   sudo scripts/debian-test.sh [PACKAGE.deb] [SUITE]         needs debootstrap; the first run fetches 40 MB
#
# There is no systemd in there: a stand-in for systemctl writes down what it is told.
set -eu
cd "$(dirname "$0")/.."
package=$(realpath "${1:-$(echo dist/runnel_*_amd64.deb)}") suite=${2:-bookworm}

cache=$(scripts/debian-base.sh "$suite")
# In namespaces of its own, so that nothing stays mounted and no port is another one's.
if [ "${RUNNEL_NAMESPACE:-}" != own ]; then
  RUNNEL_NAMESPACE=own exec unshare --mount --net --propagation=private "$0" "$package" "$suite"
fi
ip link set lo up
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mount -t tmpfs tmpfs "$root"
tar -xf "$cache" -C "$root"
# The folder that it was packed from was its maker's own.
chmod 755 "$root"
mount -t proc proc "$root/proc"
gateway=
trap '[ -z "$gateway" ] || kill "$gateway"; umount -l "$root"; rmdir "$root"' EXIT
cat >"$root/usr/local/sbin/systemctl" <<'SH'
#!/bin/sh
echo "$*" >>/systemctl.log
case " $* " in
  *" is-enabled "*) [ -L /etc/systemd/system/multi-user.target.wants/runnel.service ] && echo enabled || { echo disabled && exit 1; } ;;
  *" is-active "*) [ -e /active ] || exit 3 ;;
  *" start "* | *" restart "*) : >/active ;;
  *" stop "*) rm -f /active ;;
esac
SH
chmod +x "$root/usr/local/sbin/systemctl"
mkdir -p "$root/run/systemd/system"

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }
fail() {
  echo "failed: $*"
  cat "$root/systemctl.log"
  exit 1
}
# told COUNT PATTERN: how often systemctl was told so since the last step.
told() { [ "$(grep -cE -- "$2" "$root/systemctl.log")" -eq "$1" ] || fail "systemctl was not told \"$2\" $1 times"; }
step() {
  echo "- $*"
  : >"$root/systemctl.log"
}
install() {
  cp "$1" "$root/package.deb"
  inside dpkg --force-confdef -i /package.deb >"$root/dpkg.log" 2>&1 || { cat "$root/dpkg.log" && fail "dpkg -i"; }
}
# A further version: other number, and where $2 is there, another configuration inside.
version() {
  rm -rf "$root/next"
  dpkg-deb -R "$package" "$root/next"
  sed -i "s/^Version: .*/Version: $1/" "$root/next/DEBIAN/control"
  [ $# -lt 2 ] || echo "$2" >>"$root/next/etc/runnel/runnel.toml"
  dpkg-deb -Zgzip -z0 --build "$root/next" "$root/next.deb" >/dev/null
  rm -rf "$root/next"
}

step install
install "$package"
told 1 'start.*runnel'
told 0 restart
inside getent passwd runnel | grep -q ':/var/lib/runnel:/usr/sbin/nologin$' || fail "the user"
[ -L "$root/etc/systemd/system/multi-user.target.wants/runnel.service" ] || fail "it is not enabled"
inside runnel check | grep -q '^ok.*checked as the user runnel, in the sandbox of runnel.service$' || fail "the configuration as it comes"
inside runnel version

step "the name of websocketd"
inside websocketd --version | grep -q '^websocketd of runnel' || fail "websocketd is another program"
# Not by "inside": a function in the background is a shell, which would be killed in its place.
chroot "$root" /usr/bin/websocketd --port=8099 --loglevel=access echo hello >"$root/websocketd.log" 2>&1 &
gateway=$!
until inside curl -s http://127.0.0.1:8099/some_path >/dev/null; do kill -0 $gateway || { gateway= && fail "$(cat "$root/websocketd.log")"; }; done
answer=$(inside curl -s --http1.1 --max-time 10 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
  -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' http://127.0.0.1:8099/ | tr -d '\000') || true
case $answer in *hello*) ;; *) fail "a program by WebSocket: $answer" ;; esac
kill $gateway
wait $gateway || true
gateway=
grep -q /some_path "$root/websocketd.log" || fail "the log: $(cat "$root/websocketd.log")"

step "serve as the user runnel"
mount --bind /dev "$root/dev"
chroot --userspec=runnel:runnel "$root" /usr/bin/runnel serve >"$root/serve.log" 2>&1 &
gateway=$!
until grep -q '"ready"' "$root/serve.log"; do kill -0 $gateway || { gateway= && fail "$(cat "$root/serve.log")"; }; done
inside curl -sSf http://127.0.0.1:8080/ | grep -qi '<html' || fail "the page"
inside curl -sSf http://127.0.0.1:8080/cgi-bin/status.cgi | grep -q uptime || fail "the CGI program"
kill $gateway
wait $gateway || fail "its end"
gateway=
umount "$root/dev"

step "upgrade, the configuration changed by its owner"
sed -i 's/:8080/:8081/' "$root/etc/runnel/runnel.toml"
version 99.1
install "$root/next.deb"
told 1 'restart.*runnel'
told 0 '(^|[^e])start.*runnel'
told 0 'stop.*runnel'
grep -q :8081 "$root/etc/runnel/runnel.toml" || fail "the configuration was overwritten"

step "upgrade, changed by both"
version 99.2 '# new'
install "$root/next.deb"
told 1 'restart.*runnel'
grep -q :8081 "$root/etc/runnel/runnel.toml" || fail "the configuration was overwritten"
[ -e "$root/etc/runnel/runnel.toml.dpkg-dist" ] || fail "the new configuration is not beside the old one"

step "upgrade beside a real websocketd"
[ -L "$root/etc/alternatives/websocketd" ] || fail "an upgrade took the name away"
inside update-alternatives --quiet --remove websocketd /usr/bin/runnel
printf '#!/bin/sh\necho real\n' >"$root/usr/bin/websocketd"
chmod +x "$root/usr/bin/websocketd"
version 99.21
install "$root/next.deb"
[ "$(inside websocketd)" = real ] || fail "the real websocketd was replaced"
rm "$root/usr/bin/websocketd"
version 99.22
install "$root/next.deb"
inside websocketd --version | grep -q runnel || fail "the name was not taken when it was free again"

step "upgrade, disabled by its administrator"
rm "$root/etc/systemd/system/multi-user.target.wants/runnel.service"
version 99.3
install "$root/next.deb"
[ ! -e "$root/etc/systemd/system/multi-user.target.wants/runnel.service" ] || fail "it was enabled again"

step remove
mkdir -p "$root/var/lib/runnel"
inside dpkg -r runnel >/dev/null
told 1 'stop.*runnel'
[ ! -e "$root/usr/bin/runnel" ] || fail "the executable is still there"
[ ! -L "$root/usr/bin/websocketd" ] && [ ! -L "$root/etc/alternatives/websocketd" ] || fail "the name of websocketd is still there"
grep -q :8081 "$root/etc/runnel/runnel.toml" || fail "the configuration has gone"
[ -e "$root/var/lib/runnel" ] || fail "its folder has gone"

step purge
mkdir -p "$root/etc/runnel/tls" "$root/var/log/runnel"
echo line >"$root/var/log/runnel/access.log.1"
echo key >"$root/etc/runnel/tls/ca.key"
inside dpkg -P runnel >/dev/null
left=$(find "$root/etc" "$root/var/lib" "$root/var/log" "$root/usr" -xdev \( -path '*runnel*' -o -path '*websocketd*' \))
[ -z "$left" ] || fail "left behind: $left"
echo "the package installs, upgrades, removes and purges on $suite"
