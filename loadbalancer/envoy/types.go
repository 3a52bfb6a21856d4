package envoy

import (
	"fmt"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// kind is a type of resources, by its URL.
type kind string

// The kinds, as xDS names them.
const (
	clusters  kind = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	endpoints kind = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	listeners kind = "type.googleapis.com/envoy.config.listener.v3.Listener"
	routes    kind = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// String is the short name that people know.
func (k kind) String() string {
	switch k {
	case clusters:
		return "CDS"
	case endpoints:
		return "EDS"
	case listeners:
		return "LDS"
	case routes:
		return "RDS"
	}
	return string(k)
}

// resources are all of one kind, by name, as they are sent.
type resources map[string]*anypb.Any

// add encodes a resource. The encoding is the same for the same resource, so
// that two can be compared.
func (r resources) add(m proto.Message) error {
	var name string
	switch m := m.(type) {
	case *cluster.Cluster:
		name = m.GetName()
	case *endpoint.ClusterLoadAssignment:
		name = m.GetClusterName()
	case *listener.Listener:
		name = m.GetName()
	case *route.RouteConfiguration:
		name = m.GetName()
	}
	encoded := new(anypb.Any)
	if err := anypb.MarshalFrom(encoded, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		return fmt.Errorf("envoy: encode %q: %w", name, err)
	}
	r[name] = encoded
	return nil
}

// equal reports whether both hold the same.
func (r resources) equal(o resources) bool {
	if len(r) != len(o) {
		return false
	}
	for name, a := range r {
		b, ok := o[name]
		if !ok || string(a.GetValue()) != string(b.GetValue()) {
			return false
		}
	}
	return true
}

// with returns both together; o wins.
func (r resources) with(o resources) resources {
	all := make(resources, len(r)+len(o))
	for name, a := range r {
		all[name] = a
	}
	for name, a := range o {
		all[name] = a
	}
	return all
}
