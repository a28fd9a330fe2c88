#!/bin/bash
# debian.sh unpack|install: the Debian forky tree that holds Bazel 7.7, clang and
# the tests' tools. Debian's Bazel needs a newer glibc and Java than a stable
# Debian has, hence a whole tree and not a few packages on the host.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror that this machine's apt uses: the only one known to be reachable.
mirror() {
  # shellcheck disable=SC2016  # apt's variables
  apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' |
    awk '$1 == "Debian" && $2 == "Debian" && !seen++ { print $3 }'
}

# A private mount namespace: mounts made in it are gone when its process is,
# however that ends, so that no half-made tree keeps a /proc mounted.
private() { unshare -m --propagation private "$@"; }

unpack() {
  if ! [ -x /usr/sbin/debootstrap ] || ! [ -e "$keyring" ] || [ -z "$(mirror)" ]; then
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      debootstrap debian-archive-keyring
  fi
  local from=${RULES_BPF_DEBIAN_MIRROR:-$(mirror)}
  [ -n "$from" ] || die "apt knows no Debian mirror: set RULES_BPF_DEBIAN_MIRROR"
  rm -rf --one-file-system "$tree.new" "$tree.old"
  # An older debootstrap knows no forky; its script for sid is the same.
  private debootstrap --variant=minbase --keyring="$keyring" \
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
}

install_packages() {
  local packages
  mapfile -t packages < <(grep -v '^#' "$here/packages.txt")
  cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
  # shellcheck disable=SC2016
  private bash -ec '
    tree=$1; shift
    mount -t proc proc "$tree/proc"
    mount --rbind /dev "$tree/dev"
    in_tree() { chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
    in_tree dpkg --configure -a  # an earlier run may have been cut short
    in_tree apt-get update
    in_tree apt-get install -y --fix-broken --no-install-recommends "$@"
    in_tree apt-get clean
    in_tree bazel --version
  ' - "$tree" "${packages[@]}"
}

case $1 in
  unpack) unpack ;;
  install) install_packages ;;
esac
