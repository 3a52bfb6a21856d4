#!/bin/sh
# Generates the Go code and the OpenAPI description from the .proto files,
# with the generators that internal/tools/proto pins. It needs Go only.
set -eu
cd "$(dirname "$0")"
tools=$PWD/../internal/tools/proto
bin=${CLOVER_CACHE:-$HOME/.cache/clover}/proto-$(cksum <"$tools/go.sum" | cut -d' ' -f1)
if [ ! -x "$bin/buf" ]; then
	echo "clover: building the protobuf generators (a few minutes, once)" >&2
	mkdir -p "$bin.$$"
	(cd "$tools" && CGO_ENABLED=0 go build -o "$bin.$$/" tool)
	rm -rf "$bin"
	mv "$bin.$$" "$bin"
fi
PATH=$bin:$PATH
buf format -w
buf lint
buf generate
