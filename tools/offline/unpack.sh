#!/bin/bash
# unpack.sh: a minimal Debian forky tree, for install.sh to put Bazel in. Debian's
# Bazel needs a newer glibc and Java than a stable Debian has, hence a whole tree
# and not a few packages on the host.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror that this machine's apt uses: the only one known to be reachable.
mirror() {
  # shellcheck disable=SC2016  # apt's variables
  apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' |
    awk '$1 == "Debian" && $2 == "Debian" && !seen++ { print $3 }'
}

if ! [ -x /usr/sbin/debootstrap ] || ! [ -e "$keyring" ] || [ -z "$(mirror)" ]; then
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    debootstrap debian-archive-keyring
fi
from=${RULES_BPF_DEBIAN_MIRROR:-$(mirror)}
[ -n "$from" ] || die "apt knows no Debian mirror: set RULES_BPF_DEBIAN_MIRROR"

rm -rf --one-file-system "$tree.new" "$tree.old"
# In a mount namespace of its own: the mounts that debootstrap makes are gone when
# it is, however it ends. An older one knows no forky; its script for sid is the same.
unshare -m --propagation private debootstrap --variant=minbase --keyring="$keyring" \
  forky "$tree.new" "$from" /usr/share/debootstrap/scripts/sid

# The tree is a cache: speed over safety from power cuts, and no manuals.
printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/'{doc,man,locale,info}'/*' \
  >"$tree.new/etc/dpkg/dpkg.cfg.d/cache"
# A machine's clock and its mirror's snapshot may be months apart. That the
# packages are Debian's is checked all the same.
printf 'Acquire::Check-%s "false";\n' Valid-Until Date >"$tree.new/etc/apt/apt.conf.d/cache"
apt-config dump | grep -E '^Acquire::https?::Proxy' >>"$tree.new/etc/apt/apt.conf.d/cache" || true

"$here/stop.sh"
if [ -d "$tree" ]; then mv "$tree" "$tree.old"; fi
mv "$tree.new" "$tree"
rm -rf --one-file-system "$tree.old"
