#!/bin/sh
# Runs all tests against the real components. It needs Go only: what the tests
# need besides is fetched or built into the cache first. The parts of the
# Kubernetes cluster, which take longest, are built while the other tests run.
# The race detector needs a C compiler; where there is none it is installed if
# that is possible, else the tests run without it.
set -eu
cd "$(dirname "$0")/../.."
race=-race
if ! command -v "${CC:-gcc}" >/dev/null 2>&1; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		echo "clover: installing a C compiler for the race detector" >&2
		(apt-get update -q && apt-get install -y -q --no-install-recommends gcc libc6-dev) >/tmp/clover-apt.log 2>&1 ||
			{ echo "clover: that failed (see /tmp/clover-apt.log); testing without the race detector" >&2; race=; }
	else
		echo "clover: there is no C compiler; testing without the race detector" >&2
		race=
	fi
fi
if ! command -v ip >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "clover: installing iproute2 for network namespaces" >&2
	(apt-get update -q && apt-get install -y -q --no-install-recommends iproute2) >/tmp/clover-apt.log 2>&1 ||
		echo "clover: that failed (see /tmp/clover-apt.log)" >&2
fi
work=$(mktemp -d)
builder=
# Not interrupted by the builder's own end, and the builder ends with us.
trap '[ -z "$builder" ] || kill "$builder" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
say() { echo "clover: $* ($(($(date +%s) - began))s)" >&2; }
began=$(date +%s)

go build -o "$work/install" ./internal/testutil/install
"$work/install" -set programs
say "building what the cluster needs beside the tests"
nice -n 10 "$work/install" -set cluster >"$work/cluster.log" 2>&1 &
builder=$!
go vet ./...

# What imports the cluster waits for it, everything else does not.
go list -f '{{.ImportPath}} {{.Imports}} {{.TestImports}} {{.XTestImports}}' ./... >"$work/packages"
cluster='internal/testutil/\(cluster\|istio\)'
failed=
say "testing what needs no cluster"
go test $race -timeout 30m $(grep -v "$cluster" "$work/packages" | cut -d' ' -f1) "$@" || failed=1
say "waiting for what the cluster needs"
wait "$builder" || failed=1
builder=
cat "$work/cluster.log" >&2
say "testing in the cluster"
go test $race -timeout 30m $(grep "$cluster" "$work/packages" | cut -d' ' -f1) "$@" || failed=1
[ -z "$failed" ] || { say "FAILED, see above"; exit 1; }
say "all tests passed"
