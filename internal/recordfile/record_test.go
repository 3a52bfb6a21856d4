package recordfile

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
)

func TestReadWhatWasAppended(t *testing.T) {
	for _, data := range []string{"x", "a record\x00 of some length"} {
		b := Append(nil, []byte(data))
		got, n, err := Read(bytes.NewReader(b), int64(len(b)), 100)
		if err != nil || string(got) != data || n != int64(len(b)) {
			t.Errorf("%q: got %q, %d bytes of %d, %v", data, got, n, len(b), err)
		}
		for cut := range b {
			if _, _, err := Read(bytes.NewReader(b[:cut]), int64(cut), 100); !errors.Is(err, ErrTorn) {
				t.Errorf("%q cut at %d: %v, want ErrTorn", data, cut, err)
			}
		}
		for i := range b {
			b[i] ^= 0x10
			if got, _, err := Read(bytes.NewReader(b), int64(len(b)), 100); err == nil {
				t.Errorf("%q with byte %d changed: read as %q", data, i, got)
			}
			b[i] ^= 0x10
		}
		if _, _, err := Read(bytes.NewReader(b), int64(len(b)), int64(len(data))-1); !errors.Is(err, ErrTorn) {
			t.Errorf("%q beyond the limit: %v, want ErrTorn", data, err)
		}
	}
}

func TestLockTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Lock(path)
	if !errors.Is(err, ErrLocked) {
		t.Errorf("it was given twice: %v, %v", second, err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	again, err := Lock(path)
	if err != nil {
		t.Fatalf("after it was given back: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(Append(nil, []byte("a record")))
	f.Fuzz(func(t *testing.T, b []byte) {
		data, n, err := Read(bytes.NewReader(b), int64(len(b)), 1<<20)
		if err == nil && !bytes.Equal(Append(nil, data), b[:n]) {
			t.Errorf("%x reads as %x", b, data)
		}
	})
}
