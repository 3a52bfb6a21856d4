package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// test has Suricata's own program test the rules in a file.
func (s *Suricata) test(ctx context.Context, path string) (Counts, error) {
	rules, err := os.ReadFile(path)
	if err != nil {
		return Counts{}, err
	}
	if long := tooLong(string(rules)); len(long) > 0 {
		return Counts{}, &RuleError{Engine: suricataName, Problems: long}
	}
	logs, err := os.MkdirTemp("", "clover-suricata-")
	if err != nil {
		return Counts{}, err
	}
	defer func() { _ = os.RemoveAll(logs) }()
	cmd := s.program(ctx, "-c", s.configFile(), "-l", logs, "-T", "-S", path)
	output := &tail{limit: 4 << 20}
	cmd.Stdout, cmd.Stderr = output, output
	runErr := runGroup(cmd)
	if err := ctx.Err(); err != nil {
		return Counts{}, fmt.Errorf("suricata: test the rules: %w", context.Cause(ctx))
	}
	counts, problems := readTest(output.String())
	if len(problems) > 0 {
		return counts, &RuleError{Engine: suricataName, Problems: problems, Output: lastLines(output.String(), 10)}
	}
	if runErr != nil {
		return counts, fmt.Errorf("suricata: test the rules: %w: %s", runErr, lastLines(output.String(), 10))
	}
	return counts, nil
}

// maxRuleBytes is how much Suricata reads of a rule, without the backslashes
// that continue it on the next line. It takes what follows for another rule,
// and complains of things that nobody has written.
const maxRuleBytes = 8191

// tooLong finds what is longer than Suricata can read, also in comments.
func tooLong(rules string) (problems []RuleProblem) {
	var rule RuleProblem // as far as it was read
	number, size := 0, 0
	for line := range strings.Lines(rules) {
		number++
		text := strings.TrimRight(line, "\r\n")
		if size == 0 {
			rule = RuleProblem{Line: number, Rule: text}
		}
		joined, more := strings.CutSuffix(strings.TrimRight(text, " \t"), "\\")
		if more && !strings.HasPrefix(rule.Rule, "#") {
			size += len(joined)
			continue
		}
		if size += len(text); size > maxRuleBytes {
			rule.Message = fmt.Sprintf("the rule has %d bytes, and Suricata reads %d at most: shorten it, or make two of it", size, maxRuleBytes)
			problems = append(problems, rule)
		}
		size = 0
	}
	return problems
}

// logLine is a line of Suricata's log in JSON.
type logLine struct {
	Level  string `json:"log_level"`
	Engine struct {
		Message string `json:"message"`
		Module  string `json:"module"`
	} `json:"engine"`
}

// readTest reads what a test printed. The standard output and the standard
// error are one text here, in the order in which they were written.
func readTest(output string) (Counts, []RuleProblem) {
	var counts Counts
	var problems []RuleProblem
	var why []string // said since the last rule that was refused
	for line := range strings.Lines(output) {
		var l logLine
		if json.Unmarshal([]byte(line), &l) != nil {
			continue
		}
		text := l.Engine.Message
		if m := tested.FindStringSubmatch(text); m != nil {
			counts = Counts{Loaded: number(m[1]), Failed: number(m[2]), Skipped: number(m[3])}
		}
		// Variables are looked up by a module "rule-vars".
		if l.Level != "Error" || !strings.HasPrefix(l.Engine.Module, "detect") && !strings.HasPrefix(l.Engine.Module, "rule") {
			continue
		}
		if m := refusedRule.FindStringSubmatch(text); m != nil {
			if len(why) == 0 {
				why = []string{"error parsing signature"}
			}
			problems = append(problems, RuleProblem{Line: number(m[2]), Rule: m[1], Message: strings.Join(why, "; ")})
			why = nil
			continue
		}
		why = append(why, text)
	}
	return counts, problems
}

func number(text string) int {
	n, _ := strconv.Atoi(text) // only digits come here, or nothing
	return n
}

// etcSuricata is where Suricata's packages have its files.
const etcSuricata = "/etc/suricata"

// withFiles fills in the files that the user has not given.
func withFiles(home string, o SuricataOptions) (SuricataOptions, error) {
	for _, f := range []struct {
		path    *string
		name    string
		builtin string
	}{
		{&o.ClassificationFile, "classification.config", classifications},
		{&o.ReferenceFile, "reference.config", references},
		{&o.ThresholdFile, "threshold.config", ""},
	} {
		if *f.path != "" {
			continue
		}
		*f.path = etcSuricata + "/" + f.name
		if _, err := os.Stat(*f.path); !errors.Is(err, os.ErrNotExist) {
			continue
		}
		*f.path = home + string(os.PathSeparator) + f.name
		if err := writeDurable(*f.path, []byte(f.builtin)); err != nil {
			return o, err
		}
	}
	o.Addresses, o.Ports = withDefaults(defaultAddresses, o.Addresses), withDefaults(defaultPorts, o.Ports)
	return o, nil
}

func withDefaults(defaults, given map[string]string) map[string]string {
	all := map[string]string{}
	for k, v := range defaults {
		all[k] = v
	}
	for k, v := range given {
		all[k] = v
	}
	return all
}

// defaultAddresses and defaultPorts are the variables that the usual rule
// sets use.
var (
	defaultAddresses = map[string]string{
		"HOME_NET": "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12,fc00::/7]", "EXTERNAL_NET": "any",
		"HTTP_SERVERS": "$HOME_NET", "SMTP_SERVERS": "$HOME_NET", "SQL_SERVERS": "$HOME_NET", "DNS_SERVERS": "$HOME_NET",
		"TELNET_SERVERS": "$HOME_NET", "SSH_SERVERS": "$HOME_NET", "FTP_SERVERS": "$HOME_NET", "SIP_SERVERS": "$HOME_NET",
		"AIM_SERVERS": "$EXTERNAL_NET", "DC_SERVERS": "$HOME_NET", "DNP3_SERVER": "$HOME_NET", "DNP3_CLIENT": "$HOME_NET",
		"MODBUS_CLIENT": "$HOME_NET", "MODBUS_SERVER": "$HOME_NET", "ENIP_CLIENT": "$HOME_NET", "ENIP_SERVER": "$HOME_NET",
	}
	defaultPorts = map[string]string{
		"HTTP_PORTS": "[80,8000,8080,9180]", "SHELLCODE_PORTS": "!80", "ORACLE_PORTS": "1521", "SSH_PORTS": "22",
		"DNP3_PORTS": "20000", "MODBUS_PORTS": "502", "FILE_DATA_PORTS": "[$HTTP_PORTS,110,143]", "FTP_PORTS": "21",
		"GENEVE_PORTS": "6081", "VXLAN_PORTS": "4789", "TEREDO_PORTS": "3544", "SIP_PORTS": "[5060,5061]",
	}
)

// references are the systems that rules refer to by name.
const references = `config reference: bugtraq http://www.securityfocus.com/bid/
config reference: cve https://nvd.nist.gov/vuln/detail/CVE-
config reference: url http://
config reference: nessus https://www.tenable.com/plugins/nessus/
config reference: md5 https://www.virustotal.com/gui/file/
`
