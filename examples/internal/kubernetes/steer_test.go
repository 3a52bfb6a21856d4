package kubernetes

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/encoding/protojson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	idsv1 "github.com/opnfv/clover/api/clover/ids/v1"
)

// steerFiles puts files that come with cloverctl into the user's home folder.
func (k *kit) steerFiles(names ...string) {
	k.Helper()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(repository, "examples/cloverctl/yaml", name))
		k.check(err)
		k.write(name, string(text))
	}
}

// guideBalancers is the first half of chapter 3.2.4: version 2 of the load
// balancer gets other servers, version 1 keeps its own.
func (k *kit) guideBalancers(copied int) {
	k.Helper()
	k.steerFiles("lbv2.yaml", "idsrule_scan.yaml", "idsrule_icmp.yaml")
	k.types("cloverctl get lb", k.greeting(), "http-lb-v1.default", "http-lb-v2.default", "proxy-access-control.default", "clover-server5.default")
	k.types("cloverctl set lb -f lbv2.yaml --dry-run", k.greeting()+"Would modify nginx config; nothing was done\n")
	k.types("cloverctl set lb -f lbv2.yaml", k.greeting()+"Modified nginx config\n")
	k.types("cloverctl get lb http-lb-v2", "http-lb-v2.default", "clover-server4:9180", "clover-server5:9180")
	k.spreads(copied, "http-lb-v2", "clover-server4", "clover-server5")
	k.spreads(copied, "http-lb-v1", "clover-server1", "clover-server2", "clover-server3")
	k.types("cloverctl get lb http-lb-v2 --history", "clover-server4:9180")
	k.types("cloverctl undo lb http-lb-v2", "clover-server1:9180")
	k.spreads(copied, "http-lb-v2", "clover-server1", "clover-server2", "clover-server3")
	k.ends("cloverctl undo lb http-lb-v7", 4, "http-lb-v7", "want one of")
}

// spreads sends requests to one version of the load balancer, and holds that
// Clover counts them at these servers, as many at each.
func (k *kit) spreads(copied int, version string, servers ...string) {
	k.Helper()
	const each = 20
	want := maps.Clone(k.collected(copied))
	want["http-lb"] += each * len(servers)
	for _, name := range servers {
		want[name] += each
	}
	pod := k.pod(sampleNamespace, "version="+version)
	k.sendLoadTo("http://"+pod.Status.PodIP+":9180", "load", "--agent", "curl/8.14.1", "--path", "/", "--rate", "60", "--requests", fmt.Sprint(each*len(servers)))
	if got := k.collected(copied); !maps.Equal(got, want) {
		k.Errorf("%s spreads over %v: served %v, want %v", version, servers, got, want)
	}
}

// guideAlerts is the second half of chapter 3.2.4, and 3.2.5: a scanner is
// kept out and let in again, rules are added, and Redis has the alerts.
func (k *kit) guideAlerts() {
	k.Helper()
	front, alerts, done := k.frontAndAlerts()
	defer done()
	k.lettingAllIn()

	k.scans(front)
	client := k.lettingAllIn()
	if len(client) != 1 {
		k.Fatalf("one client was scanning, %v were kept out", client)
	}
	k.letsIn(front)
	k.event(alerts, client[0], "9000001")

	for _, file := range []string{"idsrule_scan.yaml", "idsrule_icmp.yaml"} {
		k.types("cloverctl create idsrules -f "+file, k.greeting()+"Added to local rules\n")
		k.types("cloverctl stop ids", k.greeting()+"Stopped ", " on pid: ", ", Cleared ")
		k.types("cloverctl get ids", "snort-ids.default", "stopped")
		k.types("cloverctl start ids", k.greeting()+"Started ", " on pid: ")
	}
	k.types("cloverctl get ids", "running", "alerts seen: ")
	k.scans(front)
	k.event(alerts, client[0], "10000003")
	k.types("cloverctl create blocklist 192.0.2.7 --for 1h", "Blocked 192.0.2.7 for 1h0m0s")
	k.lettingAllIn()
}

// frontAndAlerts returns a URL of the proxy and the Redis of the sample, as
// seen from outside of the cluster.
func (k *kit) frontAndAlerts() (front string, alerts *redis.Client, done func()) {
	k.Helper()
	front = "http://" + k.nodePort(sampleNamespace, "proxy-access-control", 9180) + "/"
	alerts = redis.NewClient(&redis.Options{Addr: k.nodePort(sampleNamespace, "redis", 6379)})
	return front, alerts, func() {
		k.check(alerts.Close())
		k.deleteNodePorts("proxy-access-control", "redis")
	}
}

// deleteNodePorts deletes what nodePort has made in the sample's namespace.
func (k *kit) deleteNodePorts(apps ...string) {
	k.Helper()
	for _, app := range apps {
		k.check(k.api.CoreV1().Services(sampleNamespace).Delete(k.Context(), "test-"+app, metav1.DeleteOptions{}))
	}
}

// curl asks as "curl -A AGENT URL" does, by a connection of its own, and
// returns the status; 0 for none.
func (k *kit) curl(url, agent string) int {
	k.Helper()
	req, err := http.NewRequestWithContext(k.Context(), http.MethodGet, url, nil)
	k.check(err)
	req.Header.Set("User-Agent", agent)
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		k.Logf("%s: %v", url, err)
		return 0
	}
	k.check(res.Body.Close())
	return res.StatusCode
}

// letsIn waits until a request is answered, and not by the blocklist.
func (k *kit) letsIn(url string) {
	k.Helper()
	k.eventually(func() (bool, string) {
		got := k.curl(url, "curl/8.14.1")
		return got != 0 && got != http.StatusForbidden, fmt.Sprintf("%s: %d", url, got)
	})
}

// scans sends the requests of a scanner, until its client is kept out.
func (k *kit) scans(front string) {
	k.Helper()
	k.letsIn(front)
	k.eventually(func() (bool, string) {
		got := k.curl(front, "asafaweb.com")
		return got == http.StatusForbidden, fmt.Sprintf("the scanner gets %d", got)
	})
	if got := k.curl(front, "curl/8.14.1"); got != http.StatusForbidden {
		k.Errorf("a request of the same client: %d", got)
	}
}

// lettingAllIn removes everybody from the blocklist, and returns who was on it.
func (k *kit) lettingAllIn() (clients []string) {
	k.Helper()
	k.types("cloverctl get blocklist", k.greeting())
	a := k.run("cloverctl get blocklist -o json")
	res := &idsv1.ListBlockedResponse{}
	k.check(protojson.Unmarshal([]byte(a.out), res))
	for _, e := range res.GetBlocked().GetEntries() {
		address, _, _ := strings.Cut(e.GetPrefix(), "/")
		k.types("cloverctl delete blocklist "+address, k.greeting()+"Unblocked "+address+"\n")
		clients = append(clients, address)
	}
	return clients
}

// eventFields are those of an event that the guide prints, without what an
// engine knows that sees packets.
var eventFields = []string{
	"event-id", "event-second", "event-microsecond", "signature-id", "generator-id", "signature-revision", "classification-id",
	"priority-id", "source-ip", "destination-ip", "sport-itype", "dport-icode", "protocol", "impact-flag", "impact", "blocked",
}

// event waits for an alert in Redis, and reads it as the guide does.
func (k *kit) event(alerts *redis.Client, source, sid string) {
	k.Helper()
	k.eventually(func() (bool, string) {
		var all []string
		for _, index := range alerts.SMembers(k.Context(), "snort_events").Val() {
			e := alerts.HGetAll(k.Context(), "snort_event:"+index).Val()
			all = append(all, fmt.Sprint(e))
			if e["source-ip"] != source || e["signature-id"] != sid {
				continue
			}
			if lacks := slices.DeleteFunc(slices.Clone(eventFields), func(f string) bool { return e[f] != "" }); len(lacks) > 0 {
				k.Errorf("%v lacks %v", e, lacks)
			}
			return true, ""
		}
		return false, strings.Join(all, "\n")
	})
}
