// Package alert reads the alerts of intrusion detection engines and delivers
// them: each at least once, in order per source, also over restarts of
// anything involved.
//
//	source ──▶ spool on disk ──▶ sink, as often as it takes
//
// A [Source] reads what an engine writes: [File] follows a log that rotates,
// [Socket] listens for EVE at a unix socket; package alertredis reads EVE
// from Redis. The formats are [EVE] of Suricata, [SnortJSON] of Snort 3 and
// [Unified2] of Snort. All of them become one [Alert].
//
// The [Spool] keeps each alert together with the place in the source that
// comes after it. That makes reading exact: after a kill, reading goes on
// behind the last alert that is in the spool. A [Relay] runs sources and
// sinks; each [Sink] has a position of its own, and one that is away is waited
// for. A sink sees an alert again when a delivery was cut off: [Alert].ID is
// then the same.
//
// What is lost is counted, with the reason: see [SourceStats] and
// [SinkStats].
package alert

import (
	"net/netip"
	"time"
)

// Alert is one alert of an engine. What an engine does not tell is zero.
type Alert struct {
	// ID is the alert's identity: the same each time it is read or delivered.
	ID string `json:"id"`
	// Source is the name of the source that read it.
	Source string `json:"source"`
	// Engine is "suricata" or "snort".
	Engine string `json:"engine"`
	// SensorID and EventID are the engine's own numbers; Suricata has none.
	SensorID uint32 `json:"sensor_id,omitempty"`
	EventID  uint32 `json:"event_id,omitempty"`
	// Time is when the packet was seen, in microseconds, UTC.
	Time time.Time `json:"time"`

	// GeneratorID, SignatureID and Revision name the rule: gid, sid, rev.
	GeneratorID uint32 `json:"gid"`
	SignatureID uint32 `json:"sid"`
	Revision    uint32 `json:"rev"`
	// Signature is the rule's message.
	Signature string `json:"signature,omitempty"`
	// ClassificationID is the class's number in unified2; Category is its
	// description (EVE) or its name (alert_json).
	ClassificationID uint32 `json:"classification_id,omitempty"`
	Category         string `json:"category,omitempty"`
	// Priority is the severity: 1 is the highest; 0 is unknown.
	Priority uint32 `json:"priority,omitempty"`
	// Action is what the engine did: "allowed", "blocked", or Snort's word.
	Action string `json:"action,omitempty"`
	// Blocked is unified2's: 0 passed, 1 dropped, 2 would have been dropped, 3
	// cannot be dropped. It is 1 where Action says so.
	Blocked uint8 `json:"blocked,omitempty"`
	// ImpactFlag and Impact are unified2's.
	ImpactFlag uint8 `json:"impact_flag,omitempty"`
	Impact     uint8 `json:"impact,omitempty"`

	// SourceIP and DestinationIP are those of the packet; see Client.
	SourceIP      netip.Addr `json:"source_ip"`
	DestinationIP netip.Addr `json:"destination_ip"`
	// SourcePort and DestinationPort are type and code for ICMP.
	SourcePort      uint16 `json:"source_port,omitempty"`
	DestinationPort uint16 `json:"destination_port,omitempty"`
	// Protocol is IP's number of the protocol: 1, 6, 17, 58, ...
	Protocol uint8 `json:"protocol,omitempty"`
	// AppProtocol is the engine's name of what TCP or UDP carries.
	AppProtocol string `json:"app_protocol,omitempty"`
	Interface   string `json:"interface,omitempty"`
	VLAN        uint16 `json:"vlan,omitempty"`
	MPLS        uint32 `json:"mpls,omitempty"`
	PolicyID    uint16 `json:"policy_id,omitempty"`
	// ToClient says that the packet is one of the server to the client.
	ToClient bool `json:"to_client,omitempty"`

	Flow *Flow `json:"flow,omitempty"`
	HTTP *HTTP `json:"http,omitempty"`
	// ForwardedFor are the addresses of X-Forwarded-For in the order of the
	// header: the last is what the nearest proxy has seen, those before it are
	// what that proxy was told. What is no address ends the list at its left.
	ForwardedFor []netip.Addr `json:"forwarded_for,omitempty"`

	// Packets are packets of the alert, as they were on the wire.
	Packets []Packet `json:"packets,omitempty"`
	// Payload is what TCP or UDP carried.
	Payload []byte `json:"payload,omitempty"`
	// Extra is unified2's extra data that has no field of its own.
	Extra []Extra `json:"extra,omitempty"`
	// Raw is the line of JSON, or the record of unified2 with the event.
	Raw []byte `json:"raw,omitempty"`
}

// Flow is the connection that an alert belongs to.
type Flow struct {
	ID            uint64     `json:"id,omitempty"` // the engine's
	Start         time.Time  `json:"start,omitzero"`
	Client        netip.Addr `json:"client,omitzero"`
	Server        netip.Addr `json:"server,omitzero"`
	ClientPort    uint16     `json:"client_port,omitempty"`
	ServerPort    uint16     `json:"server_port,omitempty"`
	PacketsServer uint64     `json:"packets_to_server,omitempty"`
	PacketsClient uint64     `json:"packets_to_client,omitempty"`
	BytesServer   uint64     `json:"bytes_to_server,omitempty"`
	BytesClient   uint64     `json:"bytes_to_client,omitempty"`
}

// HTTP is the request that an alert belongs to.
type HTTP struct {
	Host        string `json:"host,omitempty"`
	URL         string `json:"url,omitempty"`
	Method      string `json:"method,omitempty"`
	Protocol    string `json:"protocol,omitempty"`
	UserAgent   string `json:"user_agent,omitempty"`
	Referer     string `json:"referer,omitempty"`
	ContentType string `json:"content_type,omitempty"`
	Status      int    `json:"status,omitempty"` // 0: no answer seen yet
	Length      int64  `json:"length,omitempty"` // of the answer's body, bytes
}

// Packet is a packet as it was on the wire.
type Packet struct {
	Time time.Time `json:"time,omitzero"`
	// LinkType is libpcap's: 1 is Ethernet.
	LinkType uint32 `json:"link_type"`
	Data     []byte `json:"data"`
}

// Extra is one piece of extra data of unified2.
type Extra struct {
	// Type is unified2's: 9 is the URI of HTTP, 10 its host name, ...
	Type uint32 `json:"type"`
	Data []byte `json:"data"`
}

// Client is the address of the client whose connection raised the alert:
// that which a proxy would block if no other proxy stands between. It is the
// destination where an answer of the server matched.
func (a *Alert) Client() netip.Addr {
	switch {
	case a.Flow != nil && a.Flow.Client.IsValid():
		return a.Flow.Client
	case a.ToClient:
		return a.DestinationIP
	default:
		return a.SourceIP
	}
}

// protocols are IP's numbers of what engines name.
var protocols = map[string]uint8{
	"ICMP": 1, "IGMP": 2, "IPIP": 4, "IP-IP": 4, "TCP": 6, "UDP": 17, "IPV6": 41, "GRE": 47, "ESP": 50, "AH": 51,
	"IPV6-ICMP": 58, "ICMPV6": 58, "ICMP6": 58, "SCTP": 132,
}
