#!/bin/sh
# Runs golangci-lint on the module. It is built once, from the versions that
# this folder's go.mod pins, into the cache.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
key=$(cksum <"$here/go.sum" | cut -d' ' -f1)
bin=${CLOVER_CACHE:-$HOME/.cache/clover}/golangci-lint-$key
if [ ! -x "$bin" ]; then
	echo "clover: building golangci-lint (a few minutes, once)" >&2
	mkdir -p "$(dirname "$bin")"
	(cd "$here" && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$bin.$$" \
		github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
	mv "$bin.$$" "$bin"
fi
cd "$root"
exec "$bin" run --allow-parallel-runners "${@:-./...}"
