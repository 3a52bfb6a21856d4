package ids

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Variables are the names that headers of rules may use, without the $.
type Variables struct {
	Addresses map[string]string
	Ports     map[string]string
}

// DefaultVariables returns the names that the engines' own configurations
// define, with values that fit any network.
func DefaultVariables() Variables {
	v := Variables{Addresses: map[string]string{}, Ports: map[string]string{}}
	for _, name := range strings.Fields("HOME_NET EXTERNAL_NET HTTP_SERVERS SMTP_SERVERS SQL_SERVERS DNS_SERVERS " +
		"TELNET_SERVERS AIM_SERVERS DC_SERVERS DNP3_SERVER DNP3_CLIENT MODBUS_CLIENT MODBUS_SERVER ENIP_CLIENT " +
		"ENIP_SERVER SSH_SERVERS FTP_SERVERS SIP_SERVERS") {
		v.Addresses[name] = "any"
	}
	for name, ports := range map[string]string{
		"HTTP_PORTS": "80", "SHELLCODE_PORTS": "!80", "ORACLE_PORTS": "1521", "SSH_PORTS": "22",
		"DNP3_PORTS": "20000", "MODBUS_PORTS": "502", "FILE_DATA_PORTS": "[$HTTP_PORTS,110,143]", "FTP_PORTS": "21",
		"GENEVE_PORTS": "6081", "VXLAN_PORTS": "4789", "TEREDO_PORTS": "3544", "SIP_PORTS": "[5060,5061]", "MAIL_PORTS": "[25,110,143]",
	} {
		v.Ports[name] = ports
	}
	return v
}

// ParseVariables reads the variables of an engine's configuration: the vars
// of suricata.yaml, the lines var, ipvar and portvar of snort.conf, or the
// plain assignments of upper-case names in snort.lua. Everything else in the
// file is passed over.
func ParseVariables(text string, d Dialect) (Variables, error) {
	switch d {
	case Suricata:
		return yamlVariables(text)
	case Snort2:
		return confVariables(text)
	default:
		return luaVariables(text), nil
	}
}

func yamlVariables(text string) (Variables, error) {
	var file struct {
		Vars struct {
			AddressGroups map[string]any `yaml:"address-groups"`
			PortGroups    map[string]any `yaml:"port-groups"`
		} `yaml:"vars"`
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		return Variables{}, fmt.Errorf("variables: %w: %w", ErrSyntax, err)
	}
	v := Variables{Addresses: map[string]string{}, Ports: map[string]string{}}
	for name, value := range file.Vars.AddressGroups {
		v.Addresses[name] = fmt.Sprint(value)
	}
	for name, value := range file.Vars.PortGroups {
		v.Ports[name] = fmt.Sprint(value)
	}
	return v, nil
}

func confVariables(text string) (Variables, error) {
	v := Variables{Addresses: map[string]string{}, Ports: map[string]string{}}
	n := 0
	for line := range strings.Lines(text) {
		n++
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "var" && f[0] != "ipvar" && f[0] != "portvar" {
			continue
		}
		if len(f) < 3 {
			return v, &SyntaxError{Position{Line: n, Column: 1}, f[0] + ": want a name and a value"}
		}
		value := strings.Join(f[2:], " ")
		switch {
		case f[0] == "portvar", f[0] == "var" && strings.HasSuffix(f[1], "_PORTS"):
			v.Ports[f[1]] = value
		default:
			v.Addresses[f[1]] = value
		}
	}
	return v, nil
}

var luaAssignment = regexp.MustCompile(`(?m)^\s*([A-Z][A-Z0-9_]*)\s*=\s*(?:(['"])([^'"\n]*)['"]|\[\[([^\]]*)\]\]|([A-Z][A-Z0-9_]*))`)

// luaVariables reads NAME = 'value', NAME = [[ values ]] and NAME = OTHER.
func luaVariables(text string) Variables {
	v := Variables{Addresses: map[string]string{}, Ports: map[string]string{}}
	for _, m := range luaAssignment.FindAllStringSubmatch(text, -1) {
		value := m[3]
		switch {
		case m[4] != "":
			value = "[" + strings.Join(strings.Fields(m[4]), ",") + "]"
		case m[5] != "":
			value = "$" + m[5]
		}
		if strings.HasSuffix(m[1], "_PORTS") {
			v.Ports[m[1]] = value
		} else {
			v.Addresses[m[1]] = value
		}
	}
	return v
}

// String returns the variables as lines of snort.conf, by name.
func (v Variables) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(v.Addresses)) {
		fmt.Fprintf(&b, "ipvar %s %s\n", name, v.Addresses[name])
	}
	for _, name := range slices.Sorted(maps.Keys(v.Ports)) {
		fmt.Fprintf(&b, "portvar %s %s\n", name, v.Ports[name])
	}
	return b.String()
}

// undefined returns the names that a header uses and the variables do not
// define.
func (v Variables) undefined(h Header) (names []string) {
	check := func(name string, defined map[string]string) {
		if _, ok := defined[name]; !ok && !slices.Contains(names, "$"+name) {
			names = append(names, "$"+name)
		}
	}
	for _, e := range []Endpoint{h.Source, h.Destination} {
		for _, name := range variableNames(string(e.Addresses)) {
			check(name, v.Addresses)
		}
		for _, name := range variableNames(string(e.Ports)) {
			check(name, v.Ports)
		}
	}
	return names
}

// variableNames returns the names after each $.
func variableNames(s string) (names []string) {
	for {
		n := strings.IndexByte(s, '$')
		if n < 0 {
			return names
		}
		s = s[n+1:]
		end := strings.IndexFunc(s, func(c rune) bool { return !isNameRune(c) })
		if end < 0 {
			end = len(s)
		}
		if end > 0 {
			names = append(names, s[:end])
		}
	}
}

// ReadVariables is [ParseVariables] on a file.
func ReadVariables(path string, d Dialect) (Variables, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Variables{}, err
	}
	return ParseVariables(string(text), d)
}
