package loadbalancer_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// A file of the contract is a change of a configuration.
func ExampleReadBalancer() {
	update, err := loadbalancer.ReadBalancer([]byte(`
server_port: "9180"
lb_group: cloverlb
lb_list: [{url: "clover-server4:9180"}, {url: "clover-server5:9180", weight: 2}]
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	before := loadbalancer.Config{
		Listeners: []loadbalancer.Listener{{Address: ":9180"}},
		Groups: []loadbalancer.Group{{Name: "cloverlb", Servers: []loadbalancer.Server{
			{Address: "clover-server1:9180"}, {Address: "clover-server4:9180"},
		}}},
		Routes: []loadbalancer.Route{{Path: "/", Group: "cloverlb"}},
	}
	after, err := update.Apply(before)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, change := range loadbalancer.Diff(before, after) {
		fmt.Println(change)
	}
	// Output:
	// - groups[cloverlb].servers[clover-server1:9180]: address clover-server1:9180
	// + groups[cloverlb].servers[clover-server5:9180]: address clover-server5:9180, weight 2
}

// Each fault has its place.
func ExampleReadBalancer_faults() {
	_, err := loadbalancer.ReadBalancer([]byte("lb_group: cloverlb\nlb_list:\n  - url: \"a:9180; } http {\"\n"))
	fmt.Println(err, errors.Is(err, loadbalancer.ErrInvalid))
	// Output:
	// line 3, column 10: lb_list[0].url: port "9180; } http {"; want 1 to 65535 true
}

// An agent numbers changes, and refuses those that are based on an old
// version.
func ExampleAgent() {
	agent, err := loadbalancer.NewAgent(proxy.New(proxy.Options{}), loadbalancer.AgentOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	servers := func(addresses ...string) func(loadbalancer.Config) (loadbalancer.Config, error) {
		var u loadbalancer.BalancerUpdate
		for _, a := range addresses {
			u.Servers = append(u.Servers, loadbalancer.Server{Address: a})
		}
		return u.Apply
	}
	for _, r := range []loadbalancer.Request{
		{Edit: servers("a:80")},
		{Edit: servers("a:80", "b:80"), DryRun: true},
		{Edit: servers("a:80", "b:80"), Base: 1},
		{Edit: servers("c:80"), Base: 1},
	} {
		outcome, err := agent.Change(ctx, r)
		fmt.Println(outcome.Version, len(outcome.Changes), err)
	}
	outcome, err := agent.Undo(ctx, loadbalancer.Request{})
	fmt.Println(outcome.Version, outcome.Changes, err)
	// Output:
	// 1 2 <nil>
	// 1 1 <nil>
	// 2 1 <nil>
	// 0 0 the change is based on version 1, but the current one is 2: read it and try again
	// 3 [- groups[cloverlb].servers[b:80]: address b:80] <nil>
}
