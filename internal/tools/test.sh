#!/bin/sh
# Runs all tests against the real components. It needs Go only: what the tests
# need besides is fetched or built into the cache first. The race detector
# needs a C compiler; where there is none it is installed if that is possible,
# else the tests run without it.
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
go run ./internal/testutil/install
go vet ./...
exec go test $race -timeout 30m ./... "$@"
