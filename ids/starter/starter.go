// Package starter holds intrusion detection rules to begin with, written for
// Clover: scanners by their User-Agent, pings and scans of ports, injections,
// path traversal, cross-site scripting, Log4Shell and requests for files
// that nobody should ask for. They are few and plain: a network needs the
// rule sets of those who follow attacks every day on top.
package starter

import (
	_ "embed"

	"github.com/opnfv/clover/ids"
)

// FirstSID and LastSID bound the identifiers of the starter rules.
const (
	FirstSID = 9000001
	LastSID  = 9000999
)

//go:embed suricata.rules
var suricataRules string

// Rules returns the rules in a dialect. They were written for Suricata; the
// issues say what the other dialects cannot express as exactly.
func Rules(d ids.Dialect) (*ids.Ruleset, []ids.ConversionIssue) {
	set, err := ids.Parse(suricataRules, ids.ParseOptions{Name: "starter.rules"})
	if err != nil {
		panic("starter: " + err.Error()) // the text is part of the program
	}
	if d == ids.Suricata {
		return set, nil
	}
	return ids.ConvertSet(set, d)
}
