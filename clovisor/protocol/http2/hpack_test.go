package http2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// FuzzHPACK holds that blocks which the peer decodes give the same fields.
func FuzzHPACK(f *testing.F) {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := range 10 {
		_ = e.WriteField(hpack.HeaderField{Name: "x-name", Value: fmt.Sprint("value ", i%3)})
		_ = e.WriteField(hpack.HeaderField{Name: ":path", Value: fmt.Sprint("/", i)})
	}
	f.Add(b.Bytes(), []byte{0x82, 0xBE})
	f.Add([]byte{0x20, 0x3F, 0xE1, 0x1F, 0x40, 1, 'a', 1, 'b'}, []byte{0xBE, 0x10, 1, 'c', 0})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var want, got []string
		peer := hpack.NewDecoder(defaultTable, func(f hpack.HeaderField) { want = append(want, f.Name+"="+f.Value) })
		d := newDecoder(false)
		for _, block := range [][]byte{first, second} {
			want, got = nil, nil
			_, peerErr := peer.Write(block)
			if peerErr == nil {
				peerErr = peer.Close()
			}
			err := d.decode(block, func(name, value []byte, known bool) {
				got = append(got, string(name)+"="+string(value))
				if !known {
					got = append(got, "unknown without a loss")
				}
			})
			if peerErr != nil {
				return // the peer is stricter: where size updates may be, for one
			}
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%v: got %q, want %q", err, got, want)
			}
			if d.size > maxTable {
				t.Fatalf("table of %d bytes", d.size)
			}
		}
	})
}

// TestForget holds that after a loss new entries are right, and old ones are
// unknown rather than wrong.
func TestForget(t *testing.T) {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	write := func(name, value string) []byte {
		b.Reset()
		_ = e.WriteField(hpack.HeaderField{Name: name, Value: value})
		return bytes.Clone(b.Bytes())
	}
	d := newDecoder(true)
	decode := func(block []byte) (text string) {
		if err := d.decode(block, func(name, value []byte, known bool) { text = fmt.Sprintf("%s=%s %v", name, value, known) }); err != nil {
			t.Fatal(err)
		}
		return text
	}
	write("a", "1") // not seen
	for _, c := range []struct{ name, value, want string }{
		{"a", "1", "= false"}, {"b", "2", "b=2 true"}, {"b", "2", "b=2 true"}, {"a", "1", "= false"},
		{"a", "3", "=3 false"}, {":method", "GET", ":method=GET true"}, {"b", "2", "b=2 true"},
	} {
		if got := decode(write(c.name, c.value)); got != c.want {
			t.Errorf("%s=%s: %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

// TestFieldsAreBounded sends a block that stands for far more than it has.
func TestFieldsAreBounded(t *testing.T) {
	var b bytes.Buffer
	_ = hpack.NewEncoder(&b).WriteField(hpack.HeaderField{Name: ":path", Value: strings.Repeat("/", 4000)})
	d := newDecoder(false)
	known, unknown := 0, 0
	err := d.decode(append(b.Bytes(), bytes.Repeat([]byte{0xBE}, 10_000)...), func(name, value []byte, ok bool) {
		if ok {
			known += len(name) + len(value)
		} else {
			unknown++
		}
	})
	if err != nil || known > maxFields || unknown < 9_000 {
		t.Errorf("%v, %d bytes of fields, %d are left out", err, known, unknown)
	}
}

// TestScratchIsReturned holds that a long field is not kept for the next.
func TestScratchIsReturned(t *testing.T) {
	block := append([]byte{0x00, 1, 'a', 0x7F, 0xA1, 0xC2, 0x03}, make([]byte, 57_760)...) // not Huffman coded
	d := newDecoder(false)
	if err := d.decode(block, func([]byte, []byte, bool) {}); err != nil {
		t.Fatal(err)
	}
	if n := cap(d.name) + cap(d.value); n > maxScratch {
		t.Errorf("%d bytes are kept", n)
	}
}
