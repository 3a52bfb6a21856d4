//go:build unix

package blocklist_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/opnfv/clover/ids/blocklist"
)

// TestNobodyWaitsForTheDisk holds that requests are judged, and clients are
// blocked, while the file is written anew. The disk is a pipe that nobody
// reads from yet.
func TestNobodyWaitsForTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocklist.jsonl")
	l, c := open(t, path, blocklist.Policy{For: time.Hour})
	if err := syscall.Mkfifo(path+".next", 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range 1000 {
		l.Alert(blocklist.Alert{Source: addr("192.0.2.1"), ID: fmt.Sprint(n)})
	}
	// One of these finds that the file is long, and waits for the disk.
	done := make(chan struct{}, 2)
	for _, client := range []string{"192.0.2.1", "192.0.2.2"} {
		go func() {
			l.Alert(from(client))
			done <- struct{}{}
		}()
	}
	<-done
	if _, err := l.Add(prefixes("198.51.100.0/24")[0], "by hand", 0); err != nil {
		t.Error(err)
	}
	if !l.Blocked(addr("192.0.2.1")) || !l.Blocked(addr("192.0.2.2")) || !l.Blocked(addr("198.51.100.9")) {
		t.Errorf("kept out are %v", l.Entries())
	}
	// The pipe takes everything, but cannot be synced: the old file stays.
	pipe, err := os.OpenFile(path+".next", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	<-done
	pipe.Close()
	if _, err := os.Lstat(path + ".next"); !os.IsNotExist(err) {
		t.Errorf("the pipe is still there: %v", err)
	}
	l.Alert(from("192.0.2.3")) // writes the file anew
	if text, err := os.ReadFile(path); err != nil || bytes.Count(text, []byte("\n")) != 4 {
		t.Errorf("%s, %v; want four lines", text, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if again := openAt(t, path, blocklist.Policy{For: time.Hour}, c); len(again.Entries()) != 4 {
		t.Errorf("kept are %v", again.Entries())
	}
}
