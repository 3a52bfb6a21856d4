package visibilityredis

import (
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
	"github.com/opnfv/clover/visibility"
)

func TestKeysOfSomebodyElseStay(t *testing.T) {
	r := testutil.Redis(t)
	r.CLI("SET", "clover_server1", "mine")
	r.CLI("HSET", "span_urls", "mine", "too")
	w := newWorld(t, Address{URL: r.Addr})
	w.update(visibility.ConfigUpdate{Services: []string{"clover-server1", "clover-server2", "span-urls_z"}})
	y := w.traffic(1, 10)
	w.state("clover_server1 is no hash", "DEL clover_server1", "span_urls is no set", "RENAME", "span_urls_z is another key")
	if got := r.CLI("GET", "clover_server1") + r.CLI("HGET", "span_urls", "mine"); got != "minetoo" {
		t.Errorf("they hold %q", got)
	}
	if got, want := r.CLI("HGET", "clover_server2", "max_rt"), y.ResponseTimes("clover_server2")["max_rt"]; got != want {
		t.Errorf("the others are not written: %q, want %q", got, want)
	}
	if got := r.CLI("HGET", StampKey, "left_out"); got != "0" {
		t.Errorf("left out: %s", got)
	}
	r.CLI("DEL", "clover_server1", "span_urls")
	w.update(visibility.ConfigUpdate{Services: []string{"clover-server1"}})
	w.inStep()
	inRedis(t, r, y)

	r.CLI("EVAL", "redis.call('DEL',KEYS[1]) redis.call('LPUSH',KEYS[1],'mine')", "1", agreementKey(ServicesKey))
	w.state(agreementKey(ServicesKey) + " is no string")
	r.CLI("DEL", agreementKey(ServicesKey))
	w.inStep()
}

// rights are what docs/guide-redis.md lists.
func rights(t *testing.T) []string {
	t.Helper()
	guide, err := os.ReadFile("../../docs/guide-redis.md")
	check(t, err)
	for line := range strings.Lines(string(guide)) {
		if rest, ok := strings.CutPrefix(line, "ACL SETUSER clover on '>SECRET' "); ok {
			return strings.Fields(rest)
		}
	}
	t.Fatal("the guide has no line ACL SETUSER clover")
	return nil
}

func TestAUserWithFewRights(t *testing.T) {
	r := testutil.Redis(t)
	needed := rights(t)
	r.CLI(slices.Concat([]string{"ACL", "SETUSER", "clover", "on", ">s/cret"}, needed)...)
	w := newWorld(t, Address{URL: "redis://clover@" + r.Addr, Password: "s/cret"})
	w.update(visibility.ConfigUpdate{Services: []string{"clover-server1"}})
	y := w.traffic(1, 10)
	w.inStep()
	inRedis(t, r, y)
	r.CLI("ACL", "SETUSER", "clover", "-zadd")
	w.traffic(2, 10)
	w.state("behind since", "NOPERM", "zadd", "docs/guide-redis.md")
	inRedis(t, r, y) // still the refresh before, as a whole
	r.CLI("ACL", "SETUSER", "clover", "+zadd", "-scard")
	w.state("behind since", "NOPERM", "scard")
	r.CLI("ACL", "SETUSER", "clover", "+scard")
	w.inStep()
	w.stop()
	other, _, err := Open(Address{URL: "redis://clover:wrong@" + r.Addr})
	check(t, err)
	defer other.Close()
	s, err := New(other, w.store, w.collector, Options{})
	check(t, err)
	s.refused(t, "WRONGPASS", "REDIS_PASSWORD")
}

func TestTLS(t *testing.T) {
	ca := testutil.NewAuthority(t)
	cert, key := ca.Server(t)
	clientCert, clientKey := ca.Client(t, "clover")
	_, port, err := net.SplitHostPort(testutil.FreeAddr(t))
	check(t, err)
	r := testutil.Redis(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca.File)
	w := newWorld(t, Address{URL: "rediss://127.0.0.1:" + port, CAFile: ca.File, CertFile: clientCert, KeyFile: clientKey})
	y := w.traffic(1, 10)
	w.inStep()
	inRedis(t, r, y)
	w.stop()
	for _, a := range []Address{
		{URL: "rediss://127.0.0.1:" + port, CertFile: clientCert, KeyFile: clientKey}, // the CA is not the system's
		{URL: "rediss://127.0.0.1:" + port, CAFile: ca.File},                          // the server asks for a certificate
	} {
		client, _, err := Open(a)
		check(t, err)
		s, err := New(client, w.store, w.collector, Options{})
		check(t, err)
		s.refused(t, "tls:")
		check(t, client.Close())
	}
}

// TestCluster has two nodes, so that keys are on both.
func TestCluster(t *testing.T) {
	var nodes [2]*testutil.RedisServer
	var buses [2]string
	for i := range nodes {
		_, bus, err := net.SplitHostPort(testutil.FreeAddr(t))
		check(t, err)
		buses[i] = bus
		nodes[i] = testutil.Redis(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-config-file", filepath.Join(t.TempDir(), "nodes.conf"))
	}
	nodes[0].CLI("CLUSTER", "ADDSLOTSRANGE", "0", "8191")
	nodes[1].CLI("CLUSTER", "ADDSLOTSRANGE", "8192", "16383")
	_, port, err := net.SplitHostPort(nodes[1].Addr)
	check(t, err)
	nodes[0].CLI("CLUSTER", "MEET", "127.0.0.1", port, buses[1])
	for _, node := range nodes {
		testutil.Eventually(t, wait, func() (bool, string) {
			info := node.CLI("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:2"), info
		})
	}
	w := newWorld(t, Address{URL: "redis://" + nodes[0].Addr + "?cluster=true"})
	w.update(visibility.ConfigUpdate{Services: []string{"clover-server1", "clover-server2", "nobody"}})
	y := w.traffic(1, 30)
	w.inStep()
	for key, counts := range y.Counts {
		size := w.client.SCard
		if strings.HasSuffix(key, "_z") {
			size = w.client.ZCard
		}
		if got, err := size(t.Context(), key).Result(); int(got) != len(counts) || err != nil {
			t.Errorf("%s has %d members, want %d (%v)", key, got, len(counts), err)
		}
	}
	if got, err := w.client.HGetAll(t.Context(), "clover_server2").Result(); err != nil || got["avg_rt"] != y.ResponseTimes("clover_server2")["avg_rt"] {
		t.Errorf("%v, %v", got, err)
	}
	if stamp := w.client.HGetAll(t.Context(), StampKey).Val(); stamp["written"] == "" || stamp["writing"] != "" {
		t.Errorf("stamp %v", stamp)
	}
	for _, node := range nodes {
		if keys := node.CLI("KEYS", "*"); keys == "" || strings.Contains(keys, inSlotOf("")[1:]) {
			t.Errorf("a node has %q", keys)
		}
	}
	check(t, w.client.SAdd(t.Context(), ServicesKey, "http_lb").Err())
	testutil.Eventually(t, wait, func() (bool, string) {
		s := w.collector.Config().Services
		return slices.Contains(s, "http_lb"), strings.Join(s, " ")
	})
	check(t, w.collector.Clear(t.Context()))
	testutil.Eventually(t, wait, func() (bool, string) {
		n, err := w.client.Exists(t.Context(), URLsKey).Result()
		return n == 0 && err == nil, "span_urls is still there"
	})
	w.stop()

	// Without being told it is a cluster.
	single, _, err := Open(Address{URL: nodes[0].Addr})
	check(t, err)
	defer single.Close()
	s, err := New(single, w.store, w.collector, Options{})
	check(t, err)
	s.refused(t, "?cluster=true")
}

func TestSentinel(t *testing.T) {
	r := testutil.Redis(t)
	_, port, err := net.SplitHostPort(r.Addr)
	check(t, err)
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	check(t, os.WriteFile(conf, []byte("sentinel monitor mymaster 127.0.0.1 "+port+" 1\n"), 0o600))
	addr := testutil.FreeAddr(t)
	_, sentinelPort, err := net.SplitHostPort(addr)
	check(t, err)
	testutil.Start(t, testutil.Command{
		Name: "sentinel", Path: testutil.Require(t, components.Redis()),
		Args: []string{conf, "--sentinel", "--bind", "127.0.0.1", "--port", sentinelPort},
	})
	w := newWorld(t, Address{URL: "redis://" + addr + "/0?master_name=mymaster"})
	y := w.traffic(1, 10)
	testutil.Eventually(t, wait, func() (bool, string) {
		st := w.syncer.Status()
		return st.State == visibility.StateOK, st.Error
	})
	w.inStep()
	inRedis(t, r, y)
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"redis:6379":                      "redis:6379",
		"redis://user:p%2Fw@redis:6379/3": "redis:6379",
		"rediss://redis":                  "redis:6379",
		"redis://a:1?addr=b:2&addr=c:3":   "a:1,b:2,c:3",
		"redis://a:26379/2?master_name=mymaster&addr=b:26379":  "mymaster of a:26379,b:26379",
		"redis://a:1?cluster=true&pool_size=3&dial_timeout=1s": "a:1",
		"[::1]:6379": "[::1]:6379",
	} {
		client, target, err := Open(Address{URL: text})
		if err != nil || target != want {
			t.Errorf("%s: %q, %v; want %q", text, target, err, want)
			continue
		}
		check(t, client.Close())
	}
	for text, words := range map[string]string{
		"":                              "want HOST:PORT",
		"redis://:6379":                 "want HOST:PORT",
		"redis://user:pass word@h:1":    "want HOST:PORT",
		"http://redis:6379":             "scheme http",
		"redis://redis:6379/x":          "invalid database number",
		"redis://redis:6379?nonsense=1": `"nonsense" is not known`,
		"redis://redis?cluster=maybe":   "true or false",
		"redis://redis/3?cluster=true":  "no database but 0",
	} {
		_, _, err := Open(Address{URL: text})
		if !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "pass word") {
			t.Errorf("%s: %v, want %q", text, err, words)
		}
		if secret := (*url.Error)(nil); errors.As(err, &secret) {
			t.Errorf("%s: the error holds the URL", text)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	check(t, os.WriteFile(empty, nil, 0o600))
	for _, a := range []Address{
		{URL: "rediss://redis", CAFile: empty}, {URL: "rediss://redis", CAFile: empty + "x"}, {URL: "rediss://redis", CertFile: empty, KeyFile: empty},
		{URL: "redis://redis", CAFile: empty},
	} {
		if _, _, err := Open(a); !errors.Is(err, ErrAddress) {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

// TestAStoreThatIsAway is told like a Redis that is.
func TestAStoreThatIsAway(t *testing.T) {
	r := testutil.Redis(t)
	w := newWorld(t, Address{URL: r.Addr})
	y := w.traffic(1, 5)
	w.inStep()
	closed := time.Now()
	check(t, w.store.Close())
	w.state("behind since", "store")
	w.store.Reopen()
	w.inStep()
	inRedis(t, r, y)
	if st := w.syncer.Status(); st.LastError == "" || st.LastErrorAt.Before(closed) {
		t.Errorf("%+v", st)
	}
}
