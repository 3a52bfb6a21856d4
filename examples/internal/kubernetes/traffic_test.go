package kubernetes

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/internal/sdc/load"
)

// get types a question and reads its answer as JSON.
func (k *kit) get(question string, into proto.Message) {
	k.Helper()
	a := k.run("cloverctl get visibility " + question + " -o json")
	if a.code != 0 {
		k.Fatalf("get visibility %s: exit code %d: %s", question, a.code, a.errors)
	}
	k.check(protojson.Unmarshal([]byte(a.out), into))
}

// counts asks for counts of requests by a dimension. The filter holds no
// spaces.
func (k *kit) counts(by, filter string) map[string]int {
	k.Helper()
	question := "stats --since 1h --limit 1000 --group-by " + by
	if filter != "" {
		question += " --filter " + filter
	}
	res := &v1.GetStatsResponse{}
	k.get(question, res)
	m := map[string]int{}
	for _, g := range res.GetGroups() {
		m[strings.Join(g.GetValues(), " ")] = int(g.GetStats().GetCount())
	}
	return m
}

// guideTraffic sends requests through the sample and compares what Clover
// counts with what the generator has counted. It returns how many requests
// went to the IDS.
func (k *kit) guideTraffic() (copied int) {
	k.Helper()
	tally := k.sendLoad("load", "--rate", "60", "--requests", "300", "--seed", "3", "--agent", "Chrome/150.0", "--agent", "curl/8.14.1")
	if len(tally.ByStatus) < 4 || tally.ByStatus[200] == 0 || tally.ByStatus[0] != 0 {
		k.Fatalf("the load did not go as it should: %+v", tally)
	}
	served := k.collected(tally.Sent)
	if servers := served["clover-server1"] + served["clover-server2"] + served["clover-server3"]; served["proxy-access-control"] != tally.Sent ||
		served["http-lb"] != tally.Sent || servers != tally.Sent {
		k.Errorf("served %v, the tally has %d", served, tally.Sent)
	}
	k.compare(tally)
	k.types("cloverctl get visibility", "trace_count", fmt.Sprint(tally.Sent), "http://proxy-access-control.default:9180/clover/testurl", "curl/8.14.1")
	k.types("cloverctl get visibility ledger", "jaeger@tracing.istio-system:80")
	return tally.Sent
}

// compare holds each count against the tally.
func (k *kit) compare(tally load.Tally) {
	k.Helper()
	const front = "service=proxy-access-control"
	status := map[string]int{}
	for code, n := range tally.ByStatus {
		status[fmt.Sprint(code)] = n
	}
	url := map[string]int{}
	for path, n := range tally.ByPath {
		url["http://proxy-access-control.default:9180"+path] = n
	}
	for by, want := range map[string]map[string]int{"status": status, "method": tally.ByMethod, "user_agent": tally.ByAgent, "url": url} {
		if got := k.counts(by, front); !maps.Equal(got, want) {
			k.Errorf("by %s: %v\nthe tally: %v", by, got, want)
		}
	}
}

// guideScan sends the request that the IDS knows: the client is kept out, and
// the alert is in the traces. Of the requests before, copied went to the IDS;
// it returns how many have now.
func (k *kit) guideScan(copied int) int {
	k.Helper()
	const requests = 120 // for so many seconds that an alert comes through in a busy cluster, too
	tally := k.sendLoad("scan", "--rate", "10", "--requests", fmt.Sprint(requests), "--path", "/", "--agent", "asafaweb.com")
	if tally.ByStatus[200] == 0 || tally.ByStatus[403] == 0 || tally.ByStatus[200]+tally.ByStatus[403] != requests {
		k.Errorf("the scanner is not kept out: %v", tally.ByStatus)
	}
	copied += tally.ByStatus[200]
	k.collected(copied)
	k.types("cloverctl get visibility urls", "http://proxy-access-control:50054/nginx.Controller/ProcessAlerts")
	return copied
}

// guideClear clears, and holds that what was cleared is not collected again.
func (k *kit) guideClear() {
	k.Helper()
	k.counted()
	k.types("cloverctl clear visibility", k.greeting()+"Cleared visibility data: ")
	cleared := time.Now()
	k.eventually(func() (bool, string) {
		status := &v1.GetStatusResponse{}
		k.get("status", status)
		for _, s := range status.GetSources() {
			if s.GetKind() == "traces" && s.GetLastSuccess().AsTime().Sub(cleared) > 5*time.Second {
				return true, ""
			}
		}
		return false, status.String()
	})
	if got := k.counts("service", ""); len(got) != 0 {
		k.Errorf("cleared, and there is %v", got)
	}
	k.types("cloverctl stop visibility", "Stopped collector on pid: clover-collector-0-1\n")
}
