//go:build !unix

package cassandra

import "testing"

// pause is unsupported here, where the server is not had either.
func pause(t *testing.T, _ int)  { t.Fatal("stopping a process is unsupported on this system") }
func resume(t *testing.T, _ int) { t.Fatal("stopping a process is unsupported on this system") }
