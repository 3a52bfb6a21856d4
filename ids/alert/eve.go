package alert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// eveTime is how EVE writes a time.
const eveTime = "2006-01-02T15:04:05.999999999Z0700"

// eveEvent is what Clover reads of an event of EVE.
type eveEvent struct {
	Timestamp string          `json:"timestamp"`
	EventType string          `json:"event_type"`
	FlowID    uint64          `json:"flow_id"`
	Interface string          `json:"in_iface"`
	VLAN      json.RawMessage `json:"vlan"`
	SrcIP     string          `json:"src_ip"`
	SrcPort   uint16          `json:"src_port"`
	DestIP    string          `json:"dest_ip"`
	DestPort  uint16          `json:"dest_port"`
	ICMPType  *uint16         `json:"icmp_type"`
	ICMPCode  *uint16         `json:"icmp_code"`
	Proto     string          `json:"proto"`
	AppProto  string          `json:"app_proto"`
	Direction string          `json:"direction"`
	Payload   []byte          `json:"payload"`
	Packet    []byte          `json:"packet"`
	XFF       string          `json:"xff"`
	Alert     *struct {
		Action      string `json:"action"`
		GID         uint32 `json:"gid"`
		SignatureID uint32 `json:"signature_id"`
		Rev         uint32 `json:"rev"`
		Signature   string `json:"signature"`
		Category    string `json:"category"`
		Severity    uint32 `json:"severity"`
		XFF         string `json:"xff"`
	} `json:"alert"`
	PacketInfo struct {
		LinkType uint32 `json:"linktype"`
	} `json:"packet_info"`
	HTTP *struct {
		Hostname    string `json:"hostname"`
		URL         string `json:"url"`
		UserAgent   string `json:"http_user_agent"`
		ContentType string `json:"http_content_type"`
		Referer     string `json:"http_refer"`
		Method      string `json:"http_method"`
		Protocol    string `json:"protocol"`
		XFF         string `json:"xff"`
		Status      int    `json:"status"`
		Length      int64  `json:"length"`
	} `json:"http"`
	Flow *struct {
		Start         string `json:"start"`
		SrcIP         string `json:"src_ip"`
		DestIP        string `json:"dest_ip"`
		SrcPort       uint16 `json:"src_port"`
		DestPort      uint16 `json:"dest_port"`
		PktsToServer  uint64 `json:"pkts_toserver"`
		PktsToClient  uint64 `json:"pkts_toclient"`
		BytesToServer uint64 `json:"bytes_toserver"`
		BytesToClient uint64 `json:"bytes_toclient"`
	} `json:"flow"`
}

// alertMark is in each event of EVE that is an alert, and in few others.
var alertMark = []byte(`"alert"`)

// ParseEVE reads an event of EVE. It returns nil for one that is no alert.
func ParseEVE(line []byte) (*Alert, error) {
	if !bytes.Contains(line, alertMark) {
		if !json.Valid(line) {
			return nil, fmt.Errorf("eve: %w", ErrRecord)
		}
		return nil, nil
	}
	var e eveEvent
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, fmt.Errorf("eve: %w: %w", ErrRecord, err)
	}
	if e.EventType != "alert" || e.Alert == nil {
		return nil, nil
	}
	when, err := time.Parse(eveTime, e.Timestamp)
	if err != nil {
		return nil, fmt.Errorf("eve: %w: %w", ErrRecord, err)
	}
	a := &Alert{
		Engine: "suricata", Time: when.UTC(), Interface: e.Interface, AppProtocol: e.AppProto, ToClient: e.Direction == "to_client",
		GeneratorID: e.Alert.GID, SignatureID: e.Alert.SignatureID, Revision: e.Alert.Rev,
		Signature: e.Alert.Signature, Category: e.Alert.Category, Priority: e.Alert.Severity, Action: e.Alert.Action,
		SourceIP: parseAddr(e.SrcIP), DestinationIP: parseAddr(e.DestIP), SourcePort: e.SrcPort, DestinationPort: e.DestPort,
		Protocol: protocolNumber(e.Proto), Payload: e.Payload, Raw: bytes.Clone(line),
	}
	if e.Alert.Action == "blocked" {
		a.Blocked = 1
	}
	if e.ICMPType != nil && e.ICMPCode != nil {
		a.SourcePort, a.DestinationPort = *e.ICMPType, *e.ICMPCode
	}
	if len(e.Packet) > 0 {
		a.Packets = []Packet{{Time: a.Time, LinkType: e.PacketInfo.LinkType, Data: e.Packet}}
	}
	a.VLAN = firstVLAN(e.VLAN)
	e.addHTTP(a)
	e.addFlow(a)
	return a, nil
}

// addHTTP takes over the request. What the header of the request was as a
// whole is better than the one address that Suricata chose from it.
func (e *eveEvent) addHTTP(a *Alert) {
	if h := e.HTTP; h != nil {
		a.HTTP = &HTTP{
			Host: h.Hostname, URL: h.URL, Method: h.Method, Protocol: h.Protocol, UserAgent: h.UserAgent,
			Referer: h.Referer, ContentType: h.ContentType, Status: h.Status, Length: h.Length,
		}
		a.ForwardedFor = ParseForwardedFor(h.XFF)
	}
	for _, one := range []string{e.Alert.XFF, e.XFF} {
		if len(a.ForwardedFor) == 0 {
			a.ForwardedFor = ParseForwardedFor(one)
		}
	}
}

func (e *eveEvent) addFlow(a *Alert) {
	if e.FlowID == 0 && e.Flow == nil {
		return
	}
	a.Flow = &Flow{ID: e.FlowID}
	f := e.Flow
	if f == nil {
		return
	}
	a.Flow.Client, a.Flow.Server, a.Flow.ClientPort, a.Flow.ServerPort = parseAddr(f.SrcIP), parseAddr(f.DestIP), f.SrcPort, f.DestPort
	a.Flow.PacketsServer, a.Flow.PacketsClient = f.PktsToServer, f.PktsToClient
	a.Flow.BytesServer, a.Flow.BytesClient = f.BytesToServer, f.BytesToClient
	if start, err := time.Parse(eveTime, f.Start); err == nil {
		a.Flow.Start = start.UTC()
	}
}

// ParseForwardedFor reads the addresses of a header X-Forwarded-For from its
// right end. It ends at what is no address: whoever wrote what stands left of
// that is not known.
func ParseForwardedFor(header string) []netip.Addr {
	var addrs []netip.Addr
	parts := strings.Split(header, ",")
	for i := len(parts) - 1; i >= 0; i-- {
		text := strings.TrimSpace(parts[i])
		a, err := netip.ParseAddr(strings.Trim(text, "[]"))
		if err != nil {
			ap, err := netip.ParseAddrPort(text)
			if err != nil {
				break
			}
			a = ap.Addr()
		}
		addrs = append(addrs, a.Unmap().WithZone(""))
	}
	for i, j := 0, len(addrs)-1; i < j; i, j = i+1, j-1 {
		addrs[i], addrs[j] = addrs[j], addrs[i]
	}
	return addrs
}

func parseAddr(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

func protocolNumber(name string) uint8 {
	if n, ok := protocols[strings.ToUpper(name)]; ok {
		return n
	}
	n, err := strconv.ParseUint(name, 10, 8)
	if err != nil {
		return 0
	}
	return uint8(n)
}

// firstVLAN reads a number or a list of numbers.
func firstVLAN(raw json.RawMessage) uint16 {
	var list []uint16
	if json.Unmarshal(raw, &list) == nil && len(list) > 0 {
		return list[0]
	}
	var one uint16
	if json.Unmarshal(raw, &one) == nil {
		return one
	}
	return 0
}
