package builtin

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestFilesAreReadOnce holds that users who begin together do not count a
// file once each, that the bound holds, and that a device is not read.
func TestFilesAreReadOnce(t *testing.T) {
	const size = 1000
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &run{}
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			if data, err := r.file(path); err != nil || len(data) != size {
				t.Error(len(data), err)
			}
		})
	}
	users.Wait()
	if r.fileBytes != size {
		t.Errorf("%d bytes are counted, want %d", r.fileBytes, size)
	}
	full := &run{fileBytes: maxFileBytes - size + 1}
	for range 2 {
		if _, err := full.file(path); err == nil {
			t.Error("more than the bound was read")
		}
	}
	if _, err := new(run).file(os.DevNull); err == nil {
		t.Error("a device was read")
	}
}
