package cassandra

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// maxName is the length in bytes up to which a name is a key as it is.
const maxName = 200

// keyName returns the form in which a name from outside is part of a key: as
// it is, if it is plain text that people may look for, else a hash of it.
func keyName(name string) string {
	if len(name) <= maxName && utf8.ValidString(name) && !strings.HasPrefix(name, "#") && !strings.ContainsAny(name, "\x00\n") {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "#" + hex.EncodeToString(sum[:16])
}

// maxText bounds the columns that are for people; the record has it all.
const maxText = 2048

// text returns what a column of text can hold of a value.
func text(value string) string {
	if len(value) > maxText {
		value = value[:maxText]
	}
	return strings.ToValidUTF8(value, "\uFFFD")
}

// hash64 is a hash as CQL's bigint has it.
func hash64(s string) int64 { return int64(xxhash.Sum64String(s)) }

// slotSeconds is the width of the partitions of the trace index, and of the
// counts that say which of them hold anything.
const slotSeconds = 600

func slotOf(t time.Time) int { return int(t.Unix() / slotSeconds) }

func slotStart(slot int) time.Time { return time.Unix(int64(slot)*slotSeconds, 0).UTC() }

func dayOf(t time.Time) int { return int(t.Unix() / 86400) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
