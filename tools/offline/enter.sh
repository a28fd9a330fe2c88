#!/bin/bash
# enter.sh COMMAND...: runs it in this folder with the Debian tree as `/`.
# `bazel` stands for Bazel with the options of the offline registry.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ "$(id -u)" = 0 ] || die "no Bazel 7.7 or later, or Bazelisk, that works is on PATH, and to set up Debian's in $C takes root"

# What outlives this call (the holder, Bazel's server) keeps no stream of the
# caller's open, whatever its number: who waits for its end would wait forever.
# Not in this shell itself, which reads its script from one.
# shellcheck disable=SC2016
alone=(bash -c 'for fd in /proc/self/fd/*; do fd=${fd##*/}; if ((fd > 2)); then exec {fd}>&-; fi; done; exec "$@"' -)

exec 9>"$C/lock"
flock -n 9 || { say "bazelw: waiting for another bazelw's set-up"; flock 9; }
registry=$("$here/setup.sh")

# The holder is known by its root directory and its start time: a process id
# alone may have been given to another process since.
start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -ra stat <<<"${stat##*) }"  # after the name, which may have spaces
  [ "${stat[0]}" != Z ] && echo "${stat[19]}"
}
alive() { [ -n "${pid:-}" ] && [ "/proc/$pid/root/" -ef "$tree/" ] && [ "$(start_time "$pid")" = "$started" ]; }

read -r pid started 2>/dev/null <"$C/holder" || true
if ! alive; then
  "$here/stop.sh"  # a server of an earlier holder would see that one's mounts
  setsid "${alone[@]}" unshare -m --propagation slave "$here/holder.sh" </dev/null >"$C/log/holder" 2>&1 &
  pid=$! started=$(start_time $! || true)
  for _ in $(seq 100); do
    alive && break
    [ -d "/proc/$pid" ] || break
    sleep 0.05
  done
  alive || die "the mount namespace could not be made: $(cat "$C/log/holder")"
  echo "$pid $started" >"$C/holder"
fi

# bind PATH: the machine's PATH, inside at the same place. What is there may be of a checkout that was deleted and cloned
# anew: nothing can be mounted over that.
bind() {
  if [ "/proc/$pid/root$1/" -ef "$1/" ]; then return; fi
  # shellcheck disable=SC2016
  nsenter -m -t "$pid" /bin/sh -ec 'umount -l "$1" 2>/dev/null || true; mkdir -p "$1"; mount --bind "/.host$1" "$1"' - "$1"
}
go_vars=(GOPROXY GONOPROXY GOSUMDB GONOSUMDB GOPRIVATE GOINSECURE GOFLAGS GOTOOLCHAIN GOROOT GOMODCACHE)
# They may come from a file that is not seen inside.
mapfile -t go_values < <(cd "$here/../.." && go env "${go_vars[@]}")
env=(HOME="$HOME" USER=root LANG=C.UTF-8 TERM="${TERM:-dumb}" GOCACHE="$C/gocache" RULES_BPF_CACHE="$C")
for i in "${!go_vars[@]}"; do env+=("${go_vars[i]}=${go_values[i]}"); done
goroot=${go_values[8]} modcache=${go_values[9]}
for v in $(compgen -e); do
  case $v in CI | TZ | COLUMNS | TEST_* | BPF_* | *_proxy | *_PROXY) env+=("$v=${!v}") ;; esac
done
env+=(PATH="$goroot/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")

mkdir -p "$modcache" "$tree$HOME"
cwd=$(pwd -P)
for path in "$C" "$goroot" "$modcache" "$(cd "$here/../.." && pwd -P)" "$cwd"; do bind "$path"; done
cmp -s /etc/resolv.conf "$tree/etc/resolv.conf" || cp -L /etc/resolv.conf "$tree/etc/"
certs=/etc/ssl/certs/ca-certificates.crt
cmp -s "${SSL_CERT_FILE:-$certs}" "$tree$certs" || cp -L "${SSL_CERT_FILE:-$certs}" "$tree$certs"

if [ "$1" = bazel ]; then set -- bazel --bazelrc="$registry/bazelrc" "${@:2}"; fi
exec "${alone[@]}" nsenter -m -t "$pid" /usr/bin/env -i -C "$cwd" "${env[@]}" "$@"
