package starter

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/ids"
	"github.com/opnfv/clover/internal/testutil"
)

// pick returns up to n runes of an alphabet.
func pick(r *rand.Rand, alphabet []rune, n int) string {
	var b strings.Builder
	for range 1 + r.IntN(n) {
		b.WriteRune(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

// TestSuricataReadsWhatWasMeant builds rules from fields full of syntax and
// has the engine, as a parser that is not ours, find their bytes and say
// their messages.
func TestSuricataReadsWhatWasMeant(t *testing.T) {
	engine := testutil.Suricata(t)
	r := rand.New(rand.NewPCG(1, 2))
	type meant struct{ message, content string }
	want := map[int]meant{1: {`a"; sid:9; msg:"b`, `a"; sid:9; content:"b`}, 2: {`\`, `\`}, 3: {`|41|`, `|41|`}, 4: {"é #)", "\x00\xff\r\n"}}
	for i := 5; i <= 120; i++ {
		want[i] = meant{
			pick(r, []rune(`";:|\()#$%,'!<>= aé`), 30) + "x",
			pick(r, []rune("\";:|\\()#$%,'!<>= a\x00\r\n\té"), 20),
		}
	}
	set := &ids.Ruleset{}
	var packets [][]byte
	for i := 1; i <= len(want); i++ {
		field := strings.NewReplacer(`\`, `\\`, `|`, `\|`).Replace(want[i].content)
		contract := ids.Contract{SID: fmt.Sprint(i), Protocol: "udp", SrcIP: fmt.Sprintf("10.3.0.%d", i), Message: want[i].message, Content: `"` + field + `"`}
		rule, err := contract.Rule(ids.Suricata)
		if err != nil {
			t.Fatalf("%+v: %v", contract, err)
		}
		if _, err := set.Put(rule); err != nil {
			t.Fatal(err)
		}
		packets = append(packets, datagram(netip.AddrFrom4([4]byte{10, 3, 0, byte(i)}), "("+want[i].content+")"),
			datagram(netip.AddrFrom4([4]byte{10, 3, 0, byte(i)}), "(another)"))
	}
	dir := t.TempDir()
	rules := filepath.Join(dir, "contract.rules")
	if err := ids.WriteFile(rules, set); err != nil {
		t.Fatal(err)
	}
	if out, err := engine.Test(rules); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	events, err := engine.ReadPcap(rules, writePcap(t, dir, packets))
	if err != nil {
		t.Fatal(err)
	}
	got := map[int]int{}
	for _, e := range events {
		alert, ok := e["alert"].(map[string]any)
		if !ok {
			continue
		}
		sid := int(alert["signature_id"].(float64))
		got[sid]++
		if m := strings.TrimSpace(want[sid].message); alert["signature"] != m {
			t.Errorf("the engine calls %d %q, meant was %q", sid, alert["signature"], m)
		}
	}
	for i := 1; i <= len(want); i++ {
		// Twice only if the second datagram has the bytes too.
		again := strings.Contains("(another)", want[i].content)
		if got[i] != 1 && !again || got[i] != 2 && again {
			t.Errorf("%d alerts for %q: %s", got[i], want[i].content, set.Find(1, uint32(i)))
		}
	}
}

func datagram(client netip.Addr, payload string) []byte {
	b := []byte{0x9c, 0x40, 0x23, 0xdc, 0, byte(8 + len(payload)), 0, 0}
	return ip(client, server, 17, append(b, payload...))
}
