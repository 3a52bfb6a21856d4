package main

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/opnfv/clover/clovisor/plugin/guest"
)

// Limits of the protocol: a line, a key.
const (
	maxLine = 2048
	maxKey  = 250
)

// parser understands the text protocol of memcached, as its protocol.txt
// describes it: lines, and blocks of data whose length a line tells.
//
// It keeps nothing between calls, since all that a message needs to be told
// from the next one is in it: a command of the client, or an answer of the
// server, is taken when all of it is there. A block of more than Clovisor
// keeps is beyond it.
type parser struct{}

// Parse implements guest.Parser.
func (parser) Parse(_ string, isReq bool, data []byte) ([]byte, map[string]string) {
	line, rest, ok := cutLine(data)
	if !ok {
		if len(data) > maxLine {
			return nil, nil // not this protocol: look for a line in what follows
		}
		return data, nil
	}
	words := strings.Fields(string(line))
	if isReq {
		return command(data, words, rest)
	}
	return answer(data, words, rest)
}

// cutLine returns the first line without its end, and what follows.
func cutLine(data []byte) (line, rest []byte, ok bool) {
	end := bytes.IndexByte(data, '\n')
	if end < 0 || end > maxLine {
		return nil, nil, false
	}
	return bytes.TrimSuffix(data[:end], []byte("\r")), data[end+1:], true
}

// block skips a block of data and its CRLF.
func block(rest []byte, size string) ([]byte, int, bool) {
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 || n+2 > len(rest) {
		return nil, n, false
	}
	return rest[n+2:], n, true
}

// command reads what the client asks for.
func command(data []byte, words []string, rest []byte) ([]byte, map[string]string) {
	if len(words) == 0 {
		return rest, nil
	}
	tags := map[string]string{"db.system.name": "memcached", "db.operation.name": words[0]}
	switch words[0] {
	case "set", "add", "replace", "append", "prepend", "cas":
		if len(words) < 5 {
			return rest, tags
		}
		after, n, ok := block(rest, words[4])
		if !ok {
			return data, nil
		}
		rest = after
		tags["memcached.value.size"] = strconv.Itoa(n)
		tags["memcached.key"] = key(words)
	case "get", "gets", "delete", "incr", "decr", "touch":
		tags["memcached.key"] = key(words)
		if n := len(words) - 1; strings.HasPrefix(words[0], "get") && n > 1 {
			tags["memcached.keys"] = strconv.Itoa(n)
		}
	}
	if words[len(words)-1] == "noreply" || words[0] == "quit" {
		tags[guest.NoResponse] = "true"
	}
	return rest, tags
}

func key(words []string) string {
	if len(words) < 2 {
		return ""
	}
	return words[1][:min(len(words[1]), maxKey)]
}

// answer reads what the server says: one line, or values up to END.
func answer(data []byte, words []string, rest []byte) ([]byte, map[string]string) {
	hits, size := 0, 0
	for len(words) > 0 && words[0] == "VALUE" {
		if len(words) < 4 {
			return rest, map[string]string{"error.type": "malformed"}
		}
		after, n, ok := block(rest, words[3])
		if !ok {
			return data, nil
		}
		hits, size = hits+1, size+n
		line, next, ok := cutLine(after)
		if !ok {
			return data, nil
		}
		words, rest = strings.Fields(string(line)), next
	}
	for len(words) > 0 && words[0] == "STAT" {
		line, next, ok := cutLine(rest)
		if !ok {
			return data, nil
		}
		words, rest = strings.Fields(string(line)), next
	}
	if len(words) == 0 {
		return rest, nil
	}
	tags := map[string]string{"db.response.status_code": words[0]}
	switch {
	case words[0] == "END":
		tags["memcached.hits"] = strconv.Itoa(hits)
		tags["memcached.value.size"] = strconv.Itoa(size)
	case strings.HasSuffix(words[0], "ERROR"):
		tags["error.type"] = words[0]
	}
	return rest, tags
}
