#!/bin/bash
# registry.sh FOLDER GOROOT: makes the module registry and the bazelrc that names it.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
to=$1 goroot=$2
rm -rf "$to.new"
go run -buildvcs=false ./tools/offline/mkregistry -out "$to.new" \
  -debian "$tree/usr/share/bazel" -stubs "$here/stubs" -goroot "$goroot"
sed "s|@CACHE@|$C|g; s|@REGISTRY@|$to|g" "$here/bazelrc" >"$to.new/bazelrc"
mv "$to.new" "$to"
# Those of other checkouts stay while they are in use.
find "$C" -maxdepth 1 -name 'registry-*' -mtime +7 -exec rm -rf {} +
