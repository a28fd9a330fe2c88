#!/bin/bash
# setup.sh: makes, or brings up to date, what enter.sh enters, and prints the
# folder of the module registry. Called with the lock held. Each step is done
# anew when what it is made from has changed.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# hash FILE|FOLDER|TEXT...: a name for what a step is made from.
hash() {
  local part
  for part; do
    if [ -d "$part" ]; then
      (cd "$part" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
    elif [ -f "$part" ]; then
      sha256sum <"$part"
    else
      printf '%s\n' "$part"
    fi
  done | sha256sum | cut -c1-16
}

# step N TITLE COMMAND...: runs it with its output in a log, and tells how long it took.
step() {
  local n=$1 title=$2 start=$SECONDS log=$C/log/step$1
  shift 2
  printf '[%s/3] %s ... ' "$n" "$title" >&2
  if ! "$@" >"$log" 2>&1 </dev/null; then
    say "failed. The end of $log:"
    tail -n 20 "$log" >&2
    exit 1
  fi
  say "$((SECONDS - start)) s"
}

# A stamp holds the hash of what a step was made from. Packages are only ever added,
# so what another checkout's list has installed still stands: a line for each.
is() { grep -qxs "$2" "$C/$1"; }

command -v go >/dev/null || die "needs Go on PATH"
cd "$here/../.."  # its go.mod says which Go
unpacked=$(hash "$here/unpack.sh")
installed=$(hash "$unpacked" "$here"/{install.sh,packages.txt})
if ! is installed "$installed"; then
  say "Setting up Bazel from Debian forky in $C, once: about 3 minutes, 2 GB."
  if ! is unpacked "$unpacked"; then
    rm -f "$C/unpacked" "$C/installed"
    step 1 "unpacking Debian forky" "$here/unpack.sh"
    echo "$unpacked" >"$C/unpacked"
  fi
  step 2 "installing Bazel, clang and the tests' tools" "$here/install.sh"
  echo "$installed" >>"$C/installed"
fi

debian=$tree/usr/share/bazel goroot=$(go env GOROOT)
registry=$C/registry-$(hash "$here"/{registry.sh,bazelrc,mkregistry,stubs} \
  "$debian"/{build-label.txt,embedded_tools/MODULE.bazel,tools/features} "$(go version) $goroot $C")
[ -d "$registry" ] || step 3 "making the module registry" "$here/registry.sh" "$registry" "$goroot"
touch "$registry"
echo "$registry"
