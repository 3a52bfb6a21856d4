package sessiontest_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
)

// numbered is an exchange whose response says by its size which it is.
func numbered(i int) sessiontest.HTTP {
	return sessiontest.HTTP{Method: "POST", Target: fmt.Sprintf("/n/%d", i), Body: strings.Repeat("b", i%3*900), Status: 200, Reply: strings.Repeat("r", i+1)}
}

// How a client sends requests.
const (
	inTurn  = iota // one after the other
	bursts         // several at once, then it waits for all answers
	sliding        // with others on the way
)

// lossy is a connection of some 40 exchanges that loses segments at random.
func lossy(r *rand.Rand, mode int) (segments sessiontest.Segments, requests int) {
	c := sessiontest.Open(sessiontest.Client(1, sessiontest.Server), sessiontest.Server)
	c.MSS = []int{100, 500, 1460, 1 << 16}[r.IntN(4)]
	loss := []int{50, 10, 4}[r.IntN(3)]
	send := func(from protocol.Side, text string) {
		for len(text) > 0 {
			n := min(c.MSS, len(text))
			if r.IntN(loss) == 0 {
				c.Lose(from, []byte(text[:n]))
			} else {
				c.Send(from, []byte(text[:n]))
			}
			text = text[n:]
		}
	}
	for answered := 0; answered < 40; {
		if requests == answered || mode == sliding && r.IntN(2) == 0 {
			burst := 1
			if mode == bursts {
				burst += r.IntN(4)
			}
			var ask string
			for range burst {
				ask += numbered(requests).Request()
				requests++
			}
			send(protocol.Client, ask)
			continue
		}
		var answer string
		for answered < requests && (mode != sliding || answer == "") {
			answer += numbered(answered).Response()
			answered++
		}
		send(protocol.Server, answer)
	}
	c.Close()
	return c.Segments, requests
}

// TestMispaired holds that after a loss no response is given to a request
// that it does not answer. Of a client that pipelines it can happen where the
// loss is before it was seen to do so.
func TestMispaired(t *testing.T) {
	var whole, all, wrong [3]int
	for seed := range uint64(200) {
		mode := int(seed % 3)
		segments, requests := lossy(rand.New(rand.NewPCG(seed, 7)), mode)
		got, ledger := sessiontest.Run(session.Options{}, segments)
		checkLedger(t, fmt.Sprint("seed ", seed), ledger, segments, len(got))
		for _, s := range got {
			var n int64
			if _, err := fmt.Sscanf(s.Target, "/n/%d", &n); err == nil && s.Response.Complete && s.Response.BodyBytes != n+1 {
				wrong[mode]++
			}
			if s.Outcome == session.Paired {
				whole[mode]++
			}
		}
		all[mode] += requests
	}
	if wrong[inTurn] > 0 || wrong[bursts]*200 > all[bursts] || wrong[sliding]*50 > all[sliding] {
		t.Errorf("wrong pairs: %v of %v", wrong, all)
	}
	if whole[inTurn]*2 < all[inTurn] { // of a loss of up to a quarter
		t.Errorf("whole: %v of %v", whole, all)
	}
	t.Logf("whole %v, wrong %v of %v sessions", whole, wrong, all)
}
