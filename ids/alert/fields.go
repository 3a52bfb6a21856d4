package alert

import (
	"net/netip"
	"strconv"
	"strings"
)

// maxFieldBytes bounds the one field that holds packets.
const maxFieldBytes = 64 << 10

// Fields are the alert's fields as users read them from Redis, by the names of
// unified2's own, and after those a few that unified2 has not. id becomes
// "event-id".
func (a *Alert) Fields(id uint64) map[string]string {
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	second, micro := strconv.FormatInt(a.Time.Unix(), 10), strconv.Itoa(a.Time.Nanosecond()/1000)
	f := map[string]string{
		"event-id":           number(id),
		"event-second":       second,
		"event-microsecond":  micro,
		"signature-id":       number(uint64(a.SignatureID)),
		"generator-id":       number(uint64(a.GeneratorID)),
		"signature-revision": number(uint64(a.Revision)),
		"classification-id":  number(uint64(a.ClassificationID)),
		"priority-id":        number(uint64(a.Priority)),
		"source-ip":          addrText(a.SourceIP),
		"destination-ip":     addrText(a.DestinationIP),
		"sport-itype":        number(uint64(a.SourcePort)),
		"dport-icode":        number(uint64(a.DestinationPort)),
		"protocol":           number(uint64(a.Protocol)),
		"impact-flag":        number(uint64(a.ImpactFlag)),
		"impact":             number(uint64(a.Impact)),
		"blocked":            number(uint64(a.Blocked)),
		"sensor-id":          number(uint64(a.SensorID)),
		"mpls-label":         number(uint64(a.MPLS)),
		"vlan-id":            number(uint64(a.VLAN)),
		"pad2":               "None",
		"packet-second":      second,
		"packet-microsecond": micro,
		"packets":            a.packets(),
		"signature":          a.Signature,
		"category":           a.Category,
		"engine":             a.Engine,
		"alert-id":           a.ID,
	}
	if a.PolicyID != 0 {
		f["pad2"] = number(uint64(a.PolicyID))
	}
	if len(a.Packets) > 0 && !a.Packets[0].Time.IsZero() {
		t := a.Packets[0].Time
		f["packet-second"], f["packet-microsecond"] = strconv.FormatInt(t.Unix(), 10), strconv.Itoa(t.Nanosecond()/1000)
	}
	optional := map[string]string{"client-ip": addrText(a.Client()), "x-forwarded-for": addrList(a.ForwardedFor), "interface": a.Interface, "app-protocol": a.AppProtocol}
	if h := a.HTTP; h != nil {
		optional["http-host"], optional["http-url"], optional["http-method"], optional["http-user-agent"] = h.Host, h.URL, h.Method, h.UserAgent
	}
	for k, v := range optional {
		if v != "" {
			f[k] = v
		}
	}
	return f
}

// packets is what the alert has of its packets: their bytes, or else what
// they carried.
func (a *Alert) packets() string {
	data := a.Payload
	if len(data) == 0 && len(a.Packets) > 0 {
		data = a.Packets[0].Data
	}
	return string(data[:min(len(data), maxFieldBytes)])
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func addrList(list []netip.Addr) string {
	var texts []string
	for _, a := range list {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ", ")
}
