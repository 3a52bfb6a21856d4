package loadbalancer

import (
	"errors"
	"net/netip"
	"reflect"
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
		"":                                       "empty",
		"groups: [{name: g, serverss: []}]":      "line 1",
		"name: a\nname: b":                       "line 2",
		"groups:\n- name: g\n  tries: many":      "line 3",
		"routes: [{path: /, group: nowhere}]":    "nowhere",
		"groups: [{name: g, connect_timeout: x}": "line 1",
		"groups: {":                              "not YAML",
	} {
		_, err := ReadConfig([]byte(text))
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
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
