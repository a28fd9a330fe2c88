#!/bin/bash
# install.sh: installs packages.txt in the tree. May be run again at any time.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Again in a mount namespace of its own, for mounts that go when this does.
if [ "${1:-}" != --inside ]; then exec unshare -m --propagation private "$0" --inside; fi
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
cp -L /etc/resolv.conf "$tree/etc/resolv.conf"

in_tree() { chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
mapfile -t packages < <(grep -v '^#' "$here/packages.txt")
in_tree dpkg --configure -a  # an earlier run may have been cut short
in_tree apt-get update
in_tree apt-get install -y --fix-broken --no-install-recommends "${packages[@]}"
in_tree apt-get clean
# A test's PATH, which Bazel sets, has no sbin.
ln -sf ../../sbin/bpftool "$tree/usr/local/bin/"
in_tree bazel --version
