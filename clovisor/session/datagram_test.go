package session_test

import (
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
)

// ask sends a query over UDP and answers it.
func ask(id uint16) *sessiontest.Conversation {
	c := sessiontest.Join(sessiontest.Client(1, sessiontest.Resolver), sessiontest.Resolver)
	c.Datagram(protocol.Client, sessiontest.DNSMessage(id, "web.example.", false, dnsmessage.RCodeSuccess))
	c.Datagram(protocol.Server, sessiontest.DNSMessage(id, "web.example.", true, dnsmessage.RCodeSuccess))
	return c
}

// TestDatagramIsNoTLS asks with the ids that look like the type and version
// of a TLS record.
func TestDatagramIsNoTLS(t *testing.T) {
	for id := uint16(0x1403); id <= 0x1703; id += 0x100 {
		got, _ := sessiontest.Run(session.Options{}, ask(id).Segments)
		if len(got) != 1 || got[0].Protocol != "dns" || got[0].Outcome != session.Paired {
			t.Errorf("id %#x: %+v", id, got)
		}
	}
}

// TestDatagramCut captures an answer without its end.
func TestDatagramCut(t *testing.T) {
	c := ask(7)
	answer := &c.Segments[1]
	answer.Payload = answer.Payload[:len(answer.Payload)-4]
	got, lines := sessiontest.Run(session.Options{}, c.Segments)
	if len(got) != 1 || got[0].Outcome != session.Truncated || !got[0].Response.Truncated || got[0].Response.BodyBytes != int64(answer.Length) {
		t.Errorf("%+v", got)
	}
	for _, l := range lines {
		if l.Protocol == "dns" && l.LostBytes != 4 {
			t.Errorf("%d bytes lost, want 4", l.LostBytes)
		}
	}
}
