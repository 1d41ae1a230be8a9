#!/bin/sh
# Reads the image for containers with skopeo, and runs it with crun: not as root, with a root that cannot be written, in 64 MiB of memory.
# Then Podman loads and runs it, as compose.yaml has it.
#
#   sudo scripts/image-test.sh [LAYOUT]        dist/runnel-oci without one; needs skopeo, crun, curl, podman, and qemu for other processors
#
# It ends with 77 where there is no root, no namespace or no memory group: nothing was run then.
set -eu
cd "$(dirname "$0")/.."
layout=$(realpath "${1:-dist/runnel-oci}")
not_here() {
  echo "SKIPPED, the image was not run: $*"
  exit 77
}
if [ "${RUNNEL_NAMESPACE:-}" != own ]; then
  [ "$(id -u)" -eq 0 ] || not_here "it needs root"
  unshare --mount --net --pid --fork --propagation=private true 2>/dev/null || not_here "no namespaces"
  # The container has the network of this one: a loopback of its own, so no port is another one's.
  RUNNEL_NAMESPACE=own exec unshare --mount --net --propagation=private "$0" "$layout"
fi
ip link set lo up
# crun takes cgroups of the old kind or of the new, not both side by side.
[ ! -d /sys/fs/cgroup/memory ] || umount /sys/fs/cgroup/unified 2>/dev/null || true
work=$(mktemp -d)
name=runnel-test-$$
inside() { runtime exec --user 65532:65532 "$name" "$@"; }
runtime() { crun --root "$work/state" "$@"; }
# On the disk, as with its users: the pages of the executable that the container reads count as its memory.
store=$(mktemp -d /var/tmp/runnel-image-test-XXXXXX)
engine() { podman --root "$store/root" --runroot "$store/run" --storage-driver vfs --cgroup-manager cgroupfs --events-backend none "$@"; }
clean() {
  runtime delete --force "$name" 2>/dev/null || true
  [ ! -d "$store/root" ] || engine rm --force --ignore --time 0 "$name" >/dev/null 2>&1 || true
  umount -R "$store/root" 2>/dev/null || true
  rm -rf "$store"
  umount -l "$work"
  rmdir "$work"
}
trap clean EXIT
trap 'exit 1' INT TERM
mount -t tmpfs tmpfs "$work"
mkdir "$work/bundle" "$work/bundle/rootfs" "$work/state"
fail() {
  echo "failed: $*"
  [ ! -e "$work/log" ] || cat "$work/log"
  exit 1
}
step() { echo "- $*"; }
# until_true WHAT COMMAND…: asks until the command succeeds, for a minute.
until_true() {
  what=$1
  shift
  for _ in $(seq 300); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.2
  done
  fail "in vain: $what"
}

step "skopeo reads it for each processor"
tag=$(node -p 'JSON.parse(fs.readFileSync(process.argv[1])).manifests[0].annotations["org.opencontainers.image.ref.name"]' "$layout/index.json")
host=$(dpkg --print-architecture)
for platform in $(node scripts/package/image/platforms.mjs "$layout"); do
  architecture=${platform%%/*} variant=${platform#*/}
  skopeo --override-os linux --override-arch "$architecture" --override-variant "$variant" inspect "oci:$layout:$tag" >"$work/inspected" || fail "skopeo inspect"
  grep -q "\"Architecture\": \"$architecture\"" "$work/inspected" || fail "another one for $platform: $(cat "$work/inspected")"
  echo "  $platform"
done
skopeo --insecure-policy copy -q "oci-archive:$layout.tar:$tag" "dir:$work/copy" || fail "skopeo copy"
rm -r "$work/copy"

step "the executables and the shell of other processors start"
for platform in $(node scripts/package/image/platforms.mjs "$layout"); do
  case $platform in
    amd64/*) continue ;;
    arm64/*) architecture=arm64 machine=aarch64 ;;
    arm/*) architecture=armhf machine=arm ;;
  esac
  command -v "qemu-$machine-static" >/dev/null || { echo "  $platform: not tried, there is no qemu-$machine-static" && continue; }
  node scripts/package/image/bundle.mjs "$layout" "$architecture" "$work/$architecture"
  root=$work/$architecture/rootfs
  "qemu-$machine-static" -L "$root" "$root/usr/bin/runnel" version || fail "runnel for $platform"
  [ "$("qemu-$machine-static" "$root/usr/bin/busybox" sh -c 'echo 42')" = 42 ] || fail "the shell for $platform"
  rm -r "$work/$architecture"
done

step "run it: user 65532, a root that cannot be written, 64 MiB"
node scripts/package/image/bundle.mjs "$layout" "$host" "$work/bundle"
runtime run --detach --bundle "$work/bundle" "$name" >"$work/log" 2>&1 || {
  grep -qE 'cgroup|namespace|Operation not permitted' "$work/log" && not_here "$(cat "$work/log")"
  fail "crun run"
}
until_true "runnel status" inside /usr/bin/runnel status -q
curl -sSf http://127.0.0.1:8080/ | grep -q 'runnel works' || fail "the page"
curl -sSN --max-time 20 http://127.0.0.1:8080/live/machine 2>/dev/null | grep -qm1 '"uptime"' || fail "the stream"
found=$(inside sh -c 'grep -E "^(Uid|CapEff)" /proc/1/status; touch /www/x 2>/dev/null || echo read-only')
[ "$found" = "Uid:	65532	65532	65532	65532
CapEff:	0000000000000000
read-only" ] || fail "it has other rights: $found"
# uWebSockets.js and koffi are loaded, or the log says why not.
! grep -E '"level":"(warn|error)"' "$work/log" || fail "a warning"
grep -q 'memory' "$work/log" || fail "it does not know of its 64 MiB"
found=$(inside sh -c 'TZ=Europe/Berlin date -d @0 +%H; grep -c BEGIN /etc/ssl/certs/ca-certificates.crt; echo 42 | awk "{ print \$1 }"')
case $found in "01
"[1-9][0-9]*"
42") ;; *) fail "the tools, the time zones or the authorities: $found" ;; esac

step "it ends by SIGTERM"
pid=$(runtime state "$name" | node -p 'JSON.parse(fs.readFileSync(0)).pid')
runtime kill "$name" TERM
gone() { [ ! -d "/proc/$pid" ] || grep -q '^State:.*zombie' "/proc/$pid/status"; }
until_true "its end" gone
grep -q '"message":"stopped"' "$work/log" || fail "it did not say so"
echo "the image is read by skopeo and served by crun"

# Podman, where it can run. Without an engine that starts containers nothing of the image is wrong.
no_podman() {
  echo "  not tried with Podman: $*"
  exit 0
}
step "Podman loads and runs it, with the memory and the health check of compose.yaml"
command -v podman >/dev/null || no_podman "it is not installed"
engine load --quiet --input "$layout.tar" >"$work/log" 2>&1 || {
  grep -qE 'overlay|namespace|not permitted' "$work/log" && no_podman "$(cat "$work/log")"
  fail "podman load"
}
compose=deploy/image/compose.yaml
memory=$(sed -n 's/^ *mem_limit: //p' "$compose")
health=$(sed -n 's/^ *test: \["CMD", \(.*\)\]$/\1/p' "$compose" | tr -d '",')
mkdir "$work/www"
echo 'my page' >"$work/www/index.html"
# Limits that every machine allows, and no timer of systemd for the health check.
engine run --detach --name "$name" --network host --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 \
  --read-only --read-only-tmpfs=false --tmpfs /tmp:exec,mode=1777,size=16m --cap-drop ALL --security-opt no-new-privileges \
  --memory "$memory" --volume state:/var/lib/runnel --volume "$work/www:/www:ro" --health-cmd "$health" --health-interval disable \
  localhost/runnel:latest >"$work/log" 2>&1 || {
  grep -qE 'cgroup|namespace|not permitted|conmon' "$work/log" && no_podman "$(cat "$work/log")"
  fail "podman run"
}
until_true "healthy" engine healthcheck run "$name"
[ "$(curl -sSf http://127.0.0.1:8080/)" = 'my page' ] || fail "the page of the volume"
curl -sSN --max-time 20 http://127.0.0.1:8080/live/machine 2>/dev/null | grep -qm1 '"uptime"' || fail "the stream"
# In less memory the two processes take the executable from each other, and it does not end.
engine exec "$name" timeout 60 runnel status -q || fail "runnel status beside it"
engine exec "$name" sh -c 'echo kept >/var/lib/runnel/file' || fail "the volume for what it keeps"
engine stop --time 60 "$name" >/dev/null 2>&1 || fail "podman stop"
engine logs "$name" >"$work/log" 2>&1
grep -q '"message":"stopped"' "$work/log" || fail "it did not say so"
! grep -E '"level":"(warn|error)"' "$work/log" || fail "a warning"
echo "  served by $(podman --version)"
