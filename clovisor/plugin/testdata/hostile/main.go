// Command hostile is a plug-in that does what its data says, for tests.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/opnfv/clover/clovisor/plugin/guest"
)

func init() { guest.Register(&parser{ended: map[string]bool{}}) }

func main() {}

type parser struct {
	kept  [][]byte
	ended map[string]bool
}

func (p *parser) End(key string) { p.ended[key] = true }

func (p *parser) Parse(key string, isReq bool, data []byte) ([]byte, map[string]string) {
	command, _, ok := strings.Cut(string(data), "\n")
	if !ok {
		return data, nil
	}
	rest := data[len(command)+1:]
	tags := map[string]string{}
	switch command {
	case "loop":
		for i := 0; ; i++ {
			tags = nil
		}
	case "spin": // without a call in the loop
		n := 0
		for {
			n++
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "panic":
		panic("as it was told")
	case "exit":
		os.Exit(3)
	case "grow":
		for {
			p.kept = append(p.kept, make([]byte, 1<<20))
		}
	case "rest":
		return make([]byte, len(data)+1), tags
	case "nothing":
		return data, tags
	case "tags":
		for i := range 100 {
			tags[fmt.Sprint(i)] = ""
		}
	case "long":
		tags["long"] = strings.Repeat("x", 100_000)
	case "wait":
		select {}
	case "file":
		_, err := os.ReadFile("/etc/passwd")
		tags["error"] = fmt.Sprint(err)
	case "environment":
		tags["n"] = fmt.Sprint(len(os.Environ()))
	case "ended":
		tags["n"] = fmt.Sprint(len(p.ended))
	case "skip":
		return rest, nil
	default:
		tags["said"], tags["key"], tags["request"] = command, key, fmt.Sprint(isReq)
	}
	return rest, tags
}
