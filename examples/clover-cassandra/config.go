package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// config is what cassandra.yaml is made of.
type config struct {
	Cluster string
	// Name and Address are the node's own.
	Name, Address string
	// Seeds are the addresses of the seeds that were found.
	Seeds                      []string
	Port, StoragePort, JMXPort int
}

// yaml is the configuration. What is not in it follows the heap, as Cassandra
// has it. Truncating is for good: no snapshot fills the disk.
func (c config) yaml() string {
	any := "0.0.0.0"
	if strings.Contains(c.Address, ":") {
		any = "'::'"
	}
	var seeds []string
	for _, s := range c.Seeds {
		seeds = append(seeds, net.JoinHostPort(s, fmt.Sprint(c.StoragePort)))
	}
	return strings.Join([]string{
		fmt.Sprintf("cluster_name: %q", c.Cluster),
		"partitioner: org.apache.cassandra.dht.Murmur3Partitioner",
		"num_tokens: 16",
		"allocate_tokens_for_local_replication_factor: 3",
		fmt.Sprintf("seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: %q}]}]", strings.Join(seeds, ",")),
		fmt.Sprintf("listen_address: %q", c.Address),
		"rpc_address: " + any,
		fmt.Sprintf("broadcast_rpc_address: %q", c.Address),
		fmt.Sprintf("storage_port: %d", c.StoragePort),
		fmt.Sprintf("native_transport_port: %d", c.Port),
		"endpoint_snitch: SimpleSnitch",
		"commitlog_sync: periodic",
		"commitlog_sync_period: 10000ms",
		"auto_snapshot: false",
		"paxos_variant: v2",
	}, "\n") + "\n"
}

// logback sends Cassandra's log to the output.
func logback(level string) string {
	return `<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level %date{ISO8601} %F:%L - %msg%n</pattern></encoder>
  </appender>
  <root level="` + strings.ToUpper(level) + `"><appender-ref ref="OUT"/></root>
</configuration>
`
}

// seedInterval is how often seeds that are not found are looked for again.
const seedInterval = time.Second

// awaitSeeds returns the addresses of those hosts that are found. The first of
// them, known by its first label, is a seed for itself: it makes the cluster.
// All others wait until another one is found, and join that.
func awaitSeeds(ctx context.Context, c config, hosts []string, lookup func(context.Context, string) ([]string, error), log io.Writer) ([]string, error) {
	first := len(hosts) == 0 || isOwn(hosts[0], c.Name)
	for said := false; ; said = true {
		var found []string
		var failure error
		if first {
			found = append(found, c.Address)
		}
		for _, host := range hosts {
			if isOwn(host, c.Name) {
				continue
			}
			addresses, err := lookup(ctx, host)
			if err != nil {
				failure = err
			}
			found = append(found, addresses...)
		}
		if len(found) > 0 {
			return found, nil
		}
		if !said {
			_, _ = fmt.Fprintf(log, "clover-cassandra: waiting for a seed: %v\n", failure)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(seedInterval):
		}
	}
}

func isOwn(host, name string) bool {
	label, _, _ := strings.Cut(host, ".")
	return label == name
}
