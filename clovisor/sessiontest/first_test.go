package sessiontest_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
)

func TestFirst(t *testing.T) {
	client, server := netip.MustParseAddrPort("10.0.0.1:40000"), netip.MustParseAddrPort("10.0.0.2:80")
	c := sessiontest.Open(client, server)
	var want []session.Session
	for _, h := range []sessiontest.HTTP{
		{Method: "GET", Target: "/a", Status: 200, Reply: "hello"},
		{Method: "POST", Target: "/b", Body: "body", Status: 404, Reply: ""},
	} {
		c.Client(h.Request())
		c.Server(h.Response())
		want = append(want, h.Want(client, server))
	}
	c.Close()
	var b bytes.Buffer
	if err := sessiontest.WriteCapture(&b, c.Segments, 7); err != nil {
		t.Fatal(err)
	}
	segments, err := sessiontest.ReadCapture(&b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		want[i].Direction = 0
	}
	got, ledger := sessiontest.Run(session.Options{}, segments)
	if d := sessiontest.Compare(want, got); d != "" {
		t.Error(d)
	}
	t.Log(ledger)
	t.Log(got[0])
}
