package testutil

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil/components"
)

// SuricataEngine is the Suricata of this machine, with a configuration that
// has every protocol on.
type SuricataEngine struct {
	// Path is the program's file.
	Path string
	// Config is its configuration: no rules, and as outputs only alerts in
	// eve.json and the log on the standard error.
	Config string
	// Etc is the folder with Debian's classification.config,
	// reference.config and the rules that come with the engine.
	Etc string

	t testing.TB
}

// suricataConfig has Etc in the place of @ETC@.
const suricataConfig = `%YAML 1.1
---
vars:
  address-groups:
    HOME_NET: "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12,127.0.0.0/8]"
    EXTERNAL_NET: "any"
    HTTP_SERVERS: "$HOME_NET"
    SMTP_SERVERS: "$HOME_NET"
    SQL_SERVERS: "$HOME_NET"
    DNS_SERVERS: "$HOME_NET"
    TELNET_SERVERS: "$HOME_NET"
    AIM_SERVERS: "$EXTERNAL_NET"
    DC_SERVERS: "$HOME_NET"
    DNP3_SERVER: "$HOME_NET"
    DNP3_CLIENT: "$HOME_NET"
    MODBUS_CLIENT: "$HOME_NET"
    MODBUS_SERVER: "$HOME_NET"
    ENIP_CLIENT: "$HOME_NET"
    ENIP_SERVER: "$HOME_NET"
  port-groups:
    HTTP_PORTS: "[80,8080,9180]"
    SHELLCODE_PORTS: "!80"
    ORACLE_PORTS: 1521
    SSH_PORTS: 22
    DNP3_PORTS: 20000
    MODBUS_PORTS: 502
    FILE_DATA_PORTS: "[$HTTP_PORTS,110,143]"
    FTP_PORTS: 21
    GENEVE_PORTS: 6081
    VXLAN_PORTS: 4789
    TEREDO_PORTS: 3544
outputs:
  - eve-log: {enabled: yes, filetype: regular, filename: eve.json, types: [{alert: {payload-printable: yes}}]}
logging:
  default-log-level: notice
  outputs: [{console: {enabled: yes}}]
pcap-file: {checksum-checks: no}
app-layer:
  protocols:
@PROTOCOLS@
unix-command: {enabled: no}
classification-file: @ETC@/classification.config
reference-config-file: @ETC@/reference.config
default-rule-path: @ETC@/rules
rule-files: []
`

// suricataProtocols are the application protocols of Suricata 7.
var suricataProtocols = strings.Fields(`telnet rfb mqtt krb5 bittorrent-dht snmp ike tls pgsql dcerpc ftp rdp ssh
	http2 smtp imap smb nfs tftp dns http modbus dnp3 enip ntp quic dhcp sip`)

// Suricata returns the Suricata of this machine for rules and captures. To
// have one that runs and sees traffic, give its Path to package ids/engine.
func Suricata(t testing.TB) *SuricataEngine {
	t.Helper()
	path := Require(t, components.Suricata())
	root := Require(t, components.SDCRoot())
	e := &SuricataEngine{
		Path: path, Etc: filepath.Join(components.SDCRootFolder(root), "etc", "suricata"),
		Config: filepath.Join(t.TempDir(), "suricata.yaml"), t: t,
	}
	var protocols []string
	for _, p := range suricataProtocols {
		switch p {
		case "dns":
			protocols = append(protocols, "    dns: {tcp: {enabled: yes, detection-ports: {dp: 53}}, udp: {enabled: yes, detection-ports: {dp: 53}}}")
		case "modbus":
			protocols = append(protocols, "    modbus: {enabled: yes, detection-ports: {dp: 502}}")
		case "dnp3":
			protocols = append(protocols, "    dnp3: {enabled: yes, detection-ports: {dp: 20000}}")
		case "enip":
			protocols = append(protocols, "    enip: {enabled: yes, detection-ports: {dp: 44818, sp: 44818}}")
		default:
			protocols = append(protocols, "    "+p+": {enabled: yes}")
		}
	}
	text := strings.NewReplacer("@ETC@", e.Etc, "@PROTOCOLS@", strings.Join(protocols, "\n")).Replace(suricataConfig)
	if err := os.WriteFile(e.Config, []byte(text), 0o600); err != nil {
		t.Fatalf("suricata: %v", err)
	}
	return e
}

// Test has the engine test a file of rules as "suricata -T -S" does: every
// rule has to be right. It returns what the engine printed. It may be called
// from any goroutine.
func (e *SuricataEngine) Test(rules string) (output string, err error) {
	return e.run("-T", "-S", rules, "-l", e.t.TempDir())
}

// ReadPcap has the engine look at a capture with a file of rules and returns
// the alerts, each a line of EVE. Rules that are wrong are left out.
func (e *SuricataEngine) ReadPcap(rules, pcap string) ([]map[string]any, error) {
	dir := e.t.TempDir()
	if out, err := e.run("-r", pcap, "-S", rules, "-l", dir, "-k", "none"); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	f, err := os.Open(filepath.Join(dir, "eve.json"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var events []map[string]any
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var event map[string]any
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, lines.Err()
}

func (e *SuricataEngine) run(args ...string) (string, error) {
	cmd := exec.CommandContext(e.t.Context(), e.Path, append([]string{"-c", e.Config}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
