// Package ids is the sample's snort-ids: it looks at the copies of requests
// by rules, keeps the events, and tells the proxy of them. [Engine] is
// Clover's own small engine for HTTP; a real one may feed the same [Alerts].
package ids

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opnfv/clover/examples/internal/sdc/control"
)

// EngineName is what the engine calls itself.
const EngineName = "clover-ids"

// maxRules bounds the rules of an engine.
const maxRules = 1000

// DefaultRules are there from the start.
func DefaultRules() []control.Rule {
	from := control.End{Address: "$EXTERNAL_NET", Port: "any"}
	to := control.End{Address: "$HTTP_SERVERS", Port: "$HTTP_PORTS"}
	rule := func(sid uint32, message, content string) control.Rule {
		return control.Rule{
			SID: sid, Revision: 1, Protocol: "tcp", Source: from, Destination: to,
			Message: message, Content: []byte(content), NoCase: true,
		}
	}
	return []control.Rule{
		rule(9000001, "MALWARE-CNC User-Agent ASafaWeb Scan", "User-Agent: asafaweb.com"),
		rule(9000002, "User-Agent of the scanner sqlmap", "User-Agent: sqlmap"),
		rule(9000003, "User-Agent of the scanner Nikto", "User-Agent: Mozilla/5.00 (Nikto"),
		rule(9000004, "Path to the users of a system", "/etc/passwd"),
	}
}

// Event is a rule that matched.
type Event struct {
	Time                time.Time
	Rule                control.Rule
	Source, Destination netip.AddrPort // port 0: unknown
	Packet              string         // what matched, for people, bounded
}

// Packet is what the engine looks at: a request as it is on the wire.
type Packet struct {
	Source, Destination netip.AddrPort
	Payload             []byte
}

// Engine is a [control.Engine] that looks at requests. It begins started.
// A new rule is used at once.
type Engine struct {
	mu      sync.RWMutex
	stopped bool
	rules   []control.Rule // sorted by SID
}

var _ control.Engine = (*Engine)(nil)

// NewEngine returns an engine with [DefaultRules].
func NewEngine() *Engine { return &Engine{rules: DefaultRules()} }

// AddRule implements control.Engine.
func (e *Engine) AddRule(_ context.Context, r control.Rule) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i, found := slices.BinarySearchFunc(e.rules, r, func(a, b control.Rule) int { return cmp.Compare(a.SID, b.SID) })
	switch {
	case found && e.rules[i].Revision > r.Revision:
		return 0, fmt.Errorf("%w: rev: rule %d is there in the later revision %d", control.ErrInvalid, r.SID, e.rules[i].Revision)
	case found:
		e.rules = slices.Clone(e.rules)
		e.rules[i] = r
	case len(e.rules) >= maxRules:
		return 0, fmt.Errorf("there are %d rules, as many as may be", maxRules)
	default:
		e.rules = slices.Insert(slices.Clone(e.rules), i, r)
	}
	return len(e.rules), nil
}

// Start implements control.Engine.
func (e *Engine) Start(context.Context) (control.EngineState, error) { return e.set(false), nil }

// Stop implements control.Engine.
func (e *Engine) Stop(context.Context) (control.EngineState, error) { return e.set(true), nil }

func (e *Engine) set(stopped bool) control.EngineState {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = stopped
	return control.EngineState{Engine: EngineName, PID: os.Getpid()}
}

// Match returns the rules that match a packet; none while the engine is
// stopped.
func (e *Engine) Match(p Packet) []control.Rule {
	e.mu.RLock()
	rules, stopped := e.rules, e.stopped
	e.mu.RUnlock()
	if stopped {
		return nil
	}
	var lower []byte
	var matched []control.Rule
	for _, r := range rules {
		if r.Protocol != "tcp" && r.Protocol != "ip" || !matches(r.Source, p.Source) || !matches(r.Destination, p.Destination) {
			continue
		}
		payload, content := p.Payload, r.Content
		if r.NoCase {
			if lower == nil {
				lower = bytes.ToLower(p.Payload)
			}
			payload, content = lower, bytes.ToLower(content)
		}
		if bytes.Contains(payload, content) {
			matched = append(matched, r)
		}
	}
	return matched
}

// matches compares one end of a connection. Variables stand for anything.
func matches(rule control.End, actual netip.AddrPort) bool {
	return negated(rule.Address, func(text string) bool {
		if a, err := netip.ParseAddr(text); err == nil {
			return a == actual.Addr()
		}
		p, err := netip.ParsePrefix(text)
		return err == nil && p.Contains(actual.Addr())
	}) && negated(rule.Port, func(text string) bool {
		low, high, isRange := strings.Cut(text, ":")
		from, err1 := strconv.Atoi(low)
		to, err2 := from, error(nil)
		if isRange {
			if to, err2 = strconv.Atoi(cmp.Or(high, "65535")); low == "" {
				err1 = nil
			}
		}
		return err1 == nil && err2 == nil && actual.Port() != 0 && from <= int(actual.Port()) && int(actual.Port()) <= to
	})
}

func negated(text string, match func(string) bool) bool {
	text, not := strings.CutPrefix(text, "!")
	if text == "any" || strings.HasPrefix(text, "$") {
		return true
	}
	return match(text) != not
}

// sortedHeader lists the names of a header, so that a packet is always the
// same.
func sortedHeader(h map[string][]string) []string { return slices.Sorted(maps.Keys(h)) }
