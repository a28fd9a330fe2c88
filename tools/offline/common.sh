# shellcheck shell=bash disable=SC2034  # what others use
# common.sh: what the scripts of this folder share. Sourced, never run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
: "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
PATH=$PATH:/usr/local/go/bin  # where Go is put by hand, for a shell that does not say so
export HOME PATH

# Everything that set-up makes lives here, outside the checkout. The path is
# resolved: inside the tree it has the same name and no symbolic link leads to it.
C=${RULES_BPF_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rules_bpf}
mkdir -p "$C/log"
C=$(cd "$C" && pwd -P)
tree=$C/tree

say() { printf '%s\n' "$*" >&2; }
die() { say "bazelw: $*"; exit 1; }
