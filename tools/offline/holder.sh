#!/bin/bash
# holder.sh: becomes the process that keeps one mount namespace with the tree as
# `/`. Run in a new mount namespace.
#
# Long-lived, because Bazel's client restarts its server when the namespace is
# another. pivot_root and not chroot, because the kernel refuses user namespaces
# to a chrooted process and Bazel then drops its sandbox without a word.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
mount --bind "$tree" "$tree"
cd "$tree"
mkdir -p .host sys dev proc tmp
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
mount --bind /tmp tmp
# Tests that load programs look for these; a machine may not have mounted them.
mountpoint -q sys/fs/bpf || mount -t bpf bpf sys/fs/bpf || true
mountpoint -q sys/kernel/tracing || mount -t tracefs tracefs sys/kernel/tracing || true
# The machine's own root stays in reach: enter.sh binds checkouts from there.
pivot_root . .host
cd /
exec sleep infinity
