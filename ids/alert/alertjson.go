package alert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// snortEvent is what Clover reads of a line of alert_json.
type snortEvent struct {
	Seconds   float64 `json:"seconds"`
	Timestamp string  `json:"timestamp"`
	Proto     string  `json:"proto"`
	Dir       string  `json:"dir"`
	SrcAddr   string  `json:"src_addr"`
	SrcPort   uint16  `json:"src_port"`
	DstAddr   string  `json:"dst_addr"`
	DstPort   uint16  `json:"dst_port"`
	SrcAP     string  `json:"src_ap"`
	DstAP     string  `json:"dst_ap"`
	ICMPType  *uint16 `json:"icmp_type"`
	ICMPCode  *uint16 `json:"icmp_code"`
	GID       uint32  `json:"gid"`
	SID       uint32  `json:"sid"`
	Rev       uint32  `json:"rev"`
	Rule      string  `json:"rule"`
	Msg       string  `json:"msg"`
	Class     string  `json:"class"`
	Priority  uint32  `json:"priority"`
	Action    string  `json:"action"`
	Service   string  `json:"service"`
	Interface string  `json:"iface"`
	MPLS      uint32  `json:"mpls"`
	VLAN      uint16  `json:"vlan"`
	Data      []byte  `json:"b64_data"`
}

// ParseSnortJSON reads a line of Snort 3's alert_json. Of the fields that
// Snort is set to write, a rule (gid, sid, rev, or rule) and a time have to be
// there. A time without a year is taken to be of the last twelve months, in
// this machine's time zone, which is how Snort writes it.
func ParseSnortJSON(line []byte) (*Alert, error) {
	var e snortEvent
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, fmt.Errorf("alert_json: %w: %w", ErrRecord, err)
	}
	if e.SID == 0 {
		if _, err := fmt.Sscanf(e.Rule, "%d:%d:%d", &e.GID, &e.SID, &e.Rev); err != nil {
			return nil, fmt.Errorf("alert_json: %w: neither sid nor rule", ErrRecord)
		}
	}
	when, err := snortTime(e.Timestamp, e.Seconds, time.Now())
	if err != nil {
		return nil, err
	}
	a := &Alert{
		Engine: "snort", Time: when, GeneratorID: max(e.GID, 1), SignatureID: e.SID, Revision: e.Rev,
		Signature: strings.Trim(e.Msg, `"`), Category: e.Class, Priority: e.Priority, Action: e.Action,
		SourceIP: parseAddr(e.SrcAddr), DestinationIP: parseAddr(e.DstAddr), SourcePort: e.SrcPort, DestinationPort: e.DstPort,
		Protocol: protocolNumber(e.Proto), AppProtocol: e.Service, Interface: e.Interface, MPLS: e.MPLS, VLAN: e.VLAN,
		ToClient: e.Dir == "S2C", Payload: e.Data, Raw: bytes.Clone(line),
	}
	if a.Category == "none" {
		a.Category = ""
	}
	fillEnd(e.SrcAP, &a.SourceIP, &a.SourcePort)
	fillEnd(e.DstAP, &a.DestinationIP, &a.DestinationPort)
	if e.ICMPType != nil && e.ICMPCode != nil {
		a.SourcePort, a.DestinationPort = *e.ICMPType, *e.ICMPCode
	}
	switch e.Action {
	case "drop", "block", "reset", "reject":
		a.Blocked = 1
	case "would_drop", "would_block", "would_reset":
		a.Blocked = 2
	}
	return a, nil
}

// snortTime reads "MM/DD-hh:mm:ss.micros", with a year before it if Snort is
// set to write that, or seconds.
func snortTime(stamp string, seconds float64, now time.Time) (time.Time, error) {
	for _, layout := range []string{"06/01/02-15:04:05.999999", "2006/01/02-15:04:05.999999"} {
		if t, err := time.ParseInLocation(layout, stamp, now.Location()); err == nil {
			return t.UTC(), nil
		}
	}
	if t, err := time.ParseInLocation("01/02-15:04:05.999999", stamp, now.Location()); err == nil {
		t = time.Date(now.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), now.Location())
		if t.After(now.Add(24 * time.Hour)) {
			t = t.AddDate(-1, 0, 0)
		}
		return t.UTC(), nil
	}
	if seconds > 0 && seconds < math.MaxUint32 {
		return time.UnixMicro(int64(seconds * 1e6)).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("alert_json: %w: no time in %q", ErrRecord, stamp)
}

// fillEnd reads "ADDRESS:PORT", which Snort writes without brackets also for
// IPv6, where address and port have no fields of their own.
func fillEnd(text string, addr *netip.Addr, port *uint16) {
	i := strings.LastIndexByte(text, ':')
	if addr.IsValid() || i < 0 {
		return
	}
	*addr = parseAddr(text[:i])
	if n, err := strconv.ParseUint(text[i+1:], 10, 16); err == nil {
		*port = uint16(n)
	}
}
