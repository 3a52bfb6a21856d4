package loadbalancer

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// full has something in each field.
func full() Config {
	return Config{
		Name:        "http-lb-v2",
		Listeners:   []Listener{{Address: "127.0.0.1:9180", H2C: true}},
		ServerNames: []string{"*.example.com"},
		Groups: []Group{{
			Name: "cloverlb", Method: Hash, Hash: HashKey{Source: HashHeader, Name: "X-User"},
			Servers: []Server{
				{Address: "clover-server4:9180", Weight: 2, MaxConnections: 7, SlowStart: 90 * time.Second},
				{Address: "clover-server5:9180", State: Drain},
			},
			Health: HealthCheck{Path: "/healthz", Interval: 500 * time.Millisecond, Status: 204},
			Queue:  Queue{Length: 3, Timeout: time.Second},
		}},
		Sites:  []Site{{Name: "site", Root: "/var/www/html", Locations: []Location{{Match: "/a", Try: Try{Files: []string{"$uri"}, Status: 404}}}}},
		Routes: []Route{{Path: "/", Group: "cloverlb"}, {Path: "/files", Site: "site"}},
		Mirror: Mirror{Address: "snort-ids:80", MaxBodyBytes: 1 << 10},
		Access: Access{Deny: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, TrustedHops: 1},
	}
}

func TestConfigFileRoundTrip(t *testing.T) {
	for name, c := range map[string]Config{"full": full(), "empty group": {Groups: []Group{{Name: "g"}}}} {
		text, err := FormatConfig(c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadConfig(text)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s: %v\n%s\ngot  %+v\nwant %+v", name, err, text, got, c)
		}
	}
	text, err := FormatConfig(full())
	if err != nil || !strings.Contains(string(text), "slow_start: 1m30s") {
		t.Errorf("durations are not as people write them: %v\n%s", err, text)
	}
}

func TestReadConfigSaysWhereAFaultIs(t *testing.T) {
	for text, want := range map[string]string{
		"":                                         "empty",
		"groups: [{name: g, serverss: []}]":        "line 1",
		"name: a\nname: b":                         "line 2",
		"groups:\n- name: g\n  tries: many":        "line 3",
		"routes: [{path: /, group: nowhere}]":      "nowhere",
		"groups: [{name: g, connect_timeout: x}":   "line 1",
		"groups: {":                                "not YAML",
		"groups:\n- name: g\n  tries: 1.5":         "line 3, column 10: groups[0].tries",
		"mirror:\n  timeout: 5":                    "line 2, column 12: mirror.timeout",
		"access:\n  deny: 192.0.2.0/24":            "want a list",
		"access:\n  deny: [192.0.2.x/24]":          "line 2, column 10: access.deny[0]",
		"access: {deny: [192.0.2.1/24], Deny: []}": "is there twice",
		"listeners: [{address: [1]}]":              "listeners[0].address: a list",
		"listeners: [{address: :1, h2c: maybe}]":   "want true or false",
		"listeners: &a [{address: :1}]":            "anchor",
		"listeners":                                "want keys",
	} {
		_, err := ReadConfig([]byte(text))
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func denied(n int) []byte {
	text := []byte("access:\n  deny:\n")
	for i := range n {
		text = fmt.Appendf(text, "  - 10.%d.%d.%d/32\n", i>>16, i>>8&255, i&255)
	}
	return text
}

// TestReadConfigGrowth: the work for a list grows with its length. Allocations
// are counted, as time says little on a busy machine.
func TestReadConfigGrowth(t *testing.T) {
	allocated := func(n int) uint64 {
		text := denied(n)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := ReadConfig(text)
		runtime.ReadMemStats(&after)
		if err != nil || len(c.Access.Deny) != n {
			t.Fatalf("%d of %d: %v", len(c.Access.Deny), n, err)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	few, many := allocated(1000), allocated(8000)
	if many > 16*few {
		t.Errorf("1000 entries allocate %d bytes, 8000 %d", few, many)
	}
}

// TestReadConfigLargest reads the longest list that fits into a file.
func TestReadConfigLargest(t *testing.T) {
	n := 14200
	text := denied(n)
	if len(text) > maxFileBytes || len(text) < maxFileBytes*9/10 {
		t.Fatalf("%d bytes; want about %d", len(text), maxFileBytes)
	}
	if c, err := ReadConfig(text); err != nil || len(c.Access.Deny) != n {
		t.Errorf("%d of %d: %v", len(c.Access.Deny), n, err)
	}
}

func BenchmarkReadConfig(b *testing.B) {
	for _, n := range []int{1000, 2000, 4000, 8000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			text := denied(n)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ReadConfig(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzReadConfig(f *testing.F) {
	text, err := FormatConfig(full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ReadConfig(data)
		if err != nil {
			return
		}
		text, err := FormatConfig(c)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ReadConfig(text); err != nil || len(Diff(c, again)) > 0 {
			t.Errorf("%v\n%s\n%v", err, text, Diff(c, again))
		}
	})
}
