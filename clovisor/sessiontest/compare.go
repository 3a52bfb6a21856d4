package sessiontest

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/opnfv/clover/clovisor/session"
)

// Compare says where what came out differs from what must, "" where it does
// not. Sessions of one client are compared in their order, those of different
// clients in any. Times and the TCP side are compared where want has them.
func Compare(want, got []session.Session) string {
	var b strings.Builder
	wants, gots := byClient(want), byClient(got)
	for client, list := range wants {
		compareList(&b, client, list, gots[client])
		delete(gots, client)
	}
	for client, list := range gots {
		compareList(&b, client, nil, list)
	}
	return b.String()
}

func byClient(all []session.Session) map[string][]session.Session {
	m := map[string][]session.Session{}
	for _, s := range all {
		k := fmt.Sprintf("%d %v", s.Interface, s.Client)
		m[k] = append(m[k], s)
	}
	return m
}

func compareList(b *strings.Builder, client string, want, got []session.Session) {
	if len(want) != len(got) {
		fmt.Fprintf(b, "%s: %d sessions, want %d\n", client, len(got), len(want))
	}
	for i := range min(len(want), len(got)) {
		if d := difference(want[i], got[i]); d != "" && b.Len() < 4000 {
			fmt.Fprintf(b, "%s: session %d, %s %s:%s\n", client, i, want[i].Method, want[i].Target, d)
		}
	}
	for i := len(want); i < len(got) && b.Len() < 4000; i++ {
		fmt.Fprintf(b, "%s: session %d too many: %s %s %d %s\n", client, i, got[i].Method, got[i].Target, got[i].Status, got[i].Outcome)
	}
}

// difference names the fields that differ.
func difference(want, got session.Session) string {
	got = known(got, want)
	w, g := reflect.ValueOf(want), reflect.ValueOf(got)
	var b strings.Builder
	for i := range w.NumField() {
		if have, must := fmt.Sprint(g.Field(i)), fmt.Sprint(w.Field(i)); have != must {
			fmt.Fprintf(&b, " %s is %s, want %s;", w.Type().Field(i).Name, have, must)
		}
	}
	return b.String()
}

// known is a session without what want does not say.
func known(s, want session.Session) session.Session {
	for _, m := range []struct{ have, want *session.Message }{{&s.Request, &want.Request}, {&s.Response, &want.Response}} {
		if m.want.First.IsZero() {
			m.have.First = time.Time{}
		}
		if m.want.Last.IsZero() {
			m.have.Last = time.Time{}
		}
	}
	if want.RequestSeq == 0 && want.ResponseSeq == 0 {
		s.RequestSeq, s.ResponseSeq, s.Request.Offset, s.Response.Offset = 0, 0, 0, 0
	}
	if want.TCP == (session.TCP{}) {
		s.TCP = session.TCP{}
	}
	if want.Attributes == nil {
		s.Attributes = nil
	}
	if want.Direction == 0 {
		s.Direction = 0
	}
	return s
}

// Run gives segments to an engine and returns what comes out, and the ledger.
func Run(o session.Options, segments ...Segments) ([]session.Session, []session.Line) {
	var got []session.Session
	o.Session = func(s *session.Session) { got = append(got, *s) }
	e := session.New(o)
	for _, list := range segments {
		for i := range list {
			e.Segment(&list[i])
		}
	}
	e.Flush()
	return got, e.Ledger()
}
