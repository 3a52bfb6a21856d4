package sdc

import (
	"fmt"

	"github.com/opnfv/clover/api/server/agents"
)

// Targets are the services of the sample that a controller can steer. Their
// addresses are the names that [Sample.DialAgent] knows.
func Targets() []agents.Target {
	list := []agents.Target{
		{Kind: agents.Proxy, Name: proxyName, Address: proxyName + ":" + controlPort},
		{Kind: agents.Detection, Name: idsName, Address: idsName + ":" + idsControlPort},
	}
	for _, name := range []string{"http-lb-v1", "http-lb-v2"} {
		list = append(list, agents.Target{Kind: agents.Balancer, Name: name, Address: name + ":" + controlPort})
	}
	for i := 1; i <= 5; i++ {
		name := fmt.Sprintf("clover-server%d", i)
		list = append(list, agents.Target{Kind: agents.Server, Name: name, Address: name + ":" + controlPort})
	}
	return list
}
