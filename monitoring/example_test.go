package monitoring_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/opnfv/clover/monitoring"
)

func ExampleClient_Instant() {
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[
			{"metric":{"__name__":"envoy_cluster_upstream_rq","response_code_class":"2xx",
			"cluster_name":"outbound|9180||clover-server1.default.svc.cluster.local"},"value":[1700000000,"31"]}]}}`)
	}))
	defer prometheus.Close()
	client, err := monitoring.New(monitoring.Options{URL: prometheus.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()
	samples, _, err := client.Instant(context.Background(), `envoy_cluster_upstream_rq{response_code_class="2xx"}`, time.Time{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range samples {
		fmt.Println(s.Metric, s.Labels["cluster_name"], s.Value)
	}
	// Output:
	// envoy_cluster_upstream_rq outbound|9180||clover-server1.default.svc.cluster.local 31
}

func ExampleIncrease() {
	at := time.Unix(1700000000, 0)
	grown := monitoring.Increase(monitoring.Series{Values: []monitoring.Value{
		{Time: at, Value: 5}, {Time: at.Add(time.Second), Value: 9},
		{Time: at.Add(2 * time.Second), Value: 2}, // the process began anew
	}})
	fmt.Println(grown.Increase, "with", grown.Resets, "reset")
	// Output:
	// 6 with 1 reset
}
