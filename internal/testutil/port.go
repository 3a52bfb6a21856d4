package testutil

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/opnfv/clover/internal/testutil/components"
)

// Ports are taken from below the ranges that the usual systems use for
// outgoing connections, so that none of those can take a port while the
// server on it restarts.
const (
	firstPort = 18000
	portCount = 14000
	portTries = 1000
)

// FreePort reserves a TCP port of 127.0.0.1 for this test until its end. No
// other test of Clover, in this process or another, gets the same one
// meanwhile, also while nothing listens on it.
func FreePort(t testing.TB) int {
	t.Helper()
	port, release, err := reservePort(t.Context())
	if err != nil {
		t.Fatalf("free port: %v", err)
	}
	t.Cleanup(release)
	return port
}

// FreeAddr is [FreePort] as "127.0.0.1:PORT".
func FreeAddr(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(FreePort(t)))
}

// reservePort locks a file for the port, which the system gives back when
// this process ends, and then looks whether anything else listens there.
func reservePort(ctx context.Context) (port int, release func(), err error) {
	cache, err := components.CacheDir()
	if err != nil {
		return 0, nil, err
	}
	dir := filepath.Join(cache, "ports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, nil, err
	}
	for range portTries {
		port := firstPort + rand.IntN(portCount)
		unlock, ok, err := components.Lock(filepath.Join(dir, strconv.Itoa(port)))
		if err != nil {
			return 0, nil, err
		}
		if !ok {
			continue
		}
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			unlock()
			continue
		}
		if err := l.Close(); err != nil {
			unlock()
			return 0, nil, err
		}
		return port, unlock, nil
	}
	return 0, nil, fmt.Errorf("none found in %d tries", portTries)
}
