package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"strings"
	"unicode"

	"github.com/opnfv/clover/internal/reload"
)

// MinTokenBytes is how long a token of a file has to be at least.
const MinTokenBytes = 16

// Tokens knows callers by a file of tokens. A change of the file is in force
// within a second; a file with a fault is reported and changes nothing.
type Tokens struct {
	entries *reload.Value[[]tokenEntry]
}

// tokenEntry is one line; the token itself is not kept.
type tokenEntry struct {
	hash [sha256.Size]byte
	who  Identity
}

// NewTokens reads a file of lines "token,user,role", with the role reader or
// operator. Empty lines and lines that begin with # are left out. Faults of
// later versions go to logger.
func NewTokens(path string, logger *slog.Logger) (*Tokens, error) {
	parse := func(contents [][]byte) ([]tokenEntry, error) { return parseTokens(path, contents[0]) }
	entries, err := reload.New(parse, func(err error) { logger.Error("token file", "error", err) }, path)
	if err != nil {
		return nil, err
	}
	return &Tokens{entries: entries}, nil
}

// Authenticate implements Authenticator.
func (t *Tokens) Authenticate(_ context.Context, c Credentials) (Identity, error) {
	if c.Token == "" {
		return Identity{}, ErrNoCredentials
	}
	// Each line is compared, so that the time tells nothing.
	hash, found := sha256.Sum256([]byte(c.Token)), -1
	entries := t.entries.Get()
	for i := range entries {
		if subtle.ConstantTimeCompare(hash[:], entries[i].hash[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Identity{}, fmt.Errorf("%w: the token is not known", ErrUnauthenticated)
	}
	return entries[found].who, nil
}

// parseTokens never puts a token into an error.
func parseTokens(path string, text []byte) ([]tokenEntry, error) {
	var entries []tokenEntry
	lines := map[[sha256.Size]byte]int{}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		entry := strings.TrimSpace(string(line))
		if entry == "" || strings.HasPrefix(entry, "#") {
			continue
		}
		e, err := parseToken(entry)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if first := lines[e.hash]; first > 0 {
			return nil, fmt.Errorf("%s:%d: the token of line %d again; each line needs one of its own", path, number, first)
		}
		lines[e.hash] = number
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%s: no tokens; want lines of token,user,role", path)
	}
	return entries, nil
}

func parseToken(entry string) (tokenEntry, error) {
	fields := strings.Split(entry, ",")
	if len(fields) != 3 {
		return tokenEntry{}, fmt.Errorf("%d fields; want token,user,role", len(fields))
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	token, user, role := fields[0], fields[1], Role(fields[2])
	switch {
	case len(token) < MinTokenBytes:
		return tokenEntry{}, fmt.Errorf("the token is shorter than %d characters; make one with: openssl rand -hex 32", MinTokenBytes)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > unicode.MaxASCII || r == 0x7f }):
		return tokenEntry{}, fmt.Errorf("the token has characters that a header cannot carry; make one with: openssl rand -hex 32")
	case user == "":
		return tokenEntry{}, fmt.Errorf("the user is empty; want token,user,role")
	case role != Reader && role != Operator:
		return tokenEntry{}, fmt.Errorf("role %q is not %s or %s", role, Reader, Operator)
	}
	return tokenEntry{hash: sha256.Sum256([]byte(token)), who: Identity{User: user, Role: role}}, nil
}
