package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/visibility"
)

// TestRows holds that rows are read and written, and that faults are told.
func TestRows(t *testing.T) {
	var out bytes.Buffer
	if err := rows(strings.NewReader(""), &out); err != nil || out.Len() != 0 {
		t.Errorf("no rows: %v, %q", err, &out)
	}
	if err := rows(strings.NewReader("nothing\n"), io.Discard); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("a row that is none: %v", err)
	}
}

// TestStalled holds that a program whose lines nobody reads ends.
func TestStalled(t *testing.T) {
	r, w := io.Pipe()
	out := &watched{Writer: w, limit: time.Millisecond, end: func() { _ = r.Close() }}
	if _, err := out.Write([]byte("a line\n")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("written to nobody: %v", err)
	}
}

// TestShell holds that the program does what bash is for to Spark, and no more.
func TestShell(t *testing.T) {
	for _, args := range [][]string{nil, {"-c"}, {"-c", "ls"}, {"-c", "clover-spark rows; ls"}, {"-i", "clover-spark rows"}} {
		if err := shell(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
