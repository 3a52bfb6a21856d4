package ids

import (
	"fmt"
	"strconv"
	"strings"
)

// Dialect is the language of a rule. The zero value is Suricata.
type Dialect uint8

// The dialects.
const (
	Suricata Dialect = iota
	Snort2
	Snort3
)

var dialectNames = [...]string{"suricata", "snort2", "snort3"}

// String returns suricata, snort2 or snort3.
func (d Dialect) String() string {
	if int(d) < len(dialectNames) {
		return dialectNames[d]
	}
	return "dialect(" + strconv.Itoa(int(d)) + ")"
}

// ParseDialect reads what String writes, in any case.
func ParseDialect(s string) (Dialect, error) {
	for i, name := range dialectNames {
		if strings.EqualFold(s, name) {
			return Dialect(i), nil
		}
	}
	return 0, fmt.Errorf("dialect %q: want suricata, snort2 or snort3", s)
}

// Version is a release of an engine, such as 7.0. The zero value is "the
// newest that the tables know".
type Version struct{ Major, Minor int }

// String returns the version as 7.0, or newest for the zero value.
func (v Version) String() string {
	if v == (Version{}) {
		return "newest"
	}
	return strconv.Itoa(v.Major) + "." + strconv.Itoa(v.Minor)
}

// ParseVersion reads the first two numbers of a version: 7.0.10 is 7.0.
func ParseVersion(s string) (Version, error) {
	major, rest, _ := strings.Cut(strings.TrimPrefix(s, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	if minor == "" {
		minor = "0"
	}
	a, err := strconv.Atoi(major)
	if err != nil {
		return Version{}, fmt.Errorf("version %q: want MAJOR.MINOR", s)
	}
	b, err := strconv.Atoi(strings.TrimRight(minor, "-abcdefghijklmnopqrstuvwxyz"))
	if err != nil {
		return Version{}, fmt.Errorf("version %q: want MAJOR.MINOR", s)
	}
	return Version{a, b}, nil
}

// before reports whether v is older than w; the zero value is never older.
func (v Version) before(w Version) bool {
	if v == (Version{}) {
		return false
	}
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}
