#!/bin/bash
# stop.sh: ends all that runs in the tree (Bazel's servers, the holder), and
# forgets the outputs of checkouts that are gone. Called with the lock held.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Whatever has the tree as its root directory is ours, whoever started it.
inside() {
  local p
  for p in /proc/[0-9]*; do
    [ "$p/root/" -ef "$tree/" ] && echo "${p#/proc/}"
  done
  true
}
signal() { inside | xargs -r kill "$1" 2>/dev/null || true; }

signal -TERM
for _ in $(seq 50); do
  [ -z "$(inside)" ] && break
  sleep 0.1
done
signal -KILL
rm -f "$C/holder"

for base in "$C"/bazel/*/; do
  workspace=$(cat "$base/DO_NOT_BUILD_HERE" 2>/dev/null) || continue
  [ -d "$workspace" ] || rm -rf --one-file-system "$base"
done
