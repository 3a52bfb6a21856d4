package envoy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/opnfv/clover/loadbalancer"
)

// xds is the server of the protocol, for one Envoy: a newer stream ends the
// older one.
type xds struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer

	mu     sync.Mutex
	wanted map[kind]*wanted
	stream *stream
	// moved is closed and made anew at each change of what is below.
	moved chan struct{}
	// envoyVersion is the one that connected last.
	envoyVersion string
	// begun: there is something to send, see Driver.Run.
	begun bool
}

// wanted is what Envoy is to have of a kind.
type wanted struct {
	version   uint64
	resources resources
}

// stream is one connection of Envoy.
type stream struct {
	dirty chan struct{} // has room for one token
	ended chan struct{}
	kinds map[kind]*subscription
}

// subscription is what one stream has of a kind.
type subscription struct {
	names []string // asked for; empty is all, for kinds that allow it
	// The last response: its nonce, its version, and the names asked for then.
	nonce   string
	version uint64
	sent    []string
	// acked is the version that Envoy has taken, refused the one it has not,
	// with its words.
	acked, refused uint64
	words          string
}

func newXDS() *xds {
	x := &xds{wanted: map[kind]*wanted{}, moved: make(chan struct{})}
	for _, k := range []kind{clusters, endpoints, listeners, routes} {
		x.wanted[k] = &wanted{version: 1, resources: resources{}}
	}
	return x
}

// announce tells those who wait. mu is held.
func (x *xds) announce() {
	close(x.moved)
	x.moved = make(chan struct{})
}

// StreamAggregatedResources serves Envoy.
func (x *xds) StreamAggregatedResources(s discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	st := &stream{dirty: make(chan struct{}, 1), ended: make(chan struct{}), kinds: map[kind]*subscription{}}
	x.mu.Lock()
	if x.stream != nil {
		close(x.stream.ended)
	}
	x.stream = st
	x.announce()
	x.mu.Unlock()
	received := make(chan error, 1)
	go func() {
		for {
			r, err := s.Recv()
			if err != nil {
				received <- err
				return
			}
			x.request(st, r)
		}
	}()
	defer func() {
		x.mu.Lock()
		if x.stream == st {
			x.stream = nil
		}
		x.announce()
		x.mu.Unlock()
	}()
	for {
		select {
		case <-st.dirty:
			for _, r := range x.responses(st) {
				if err := s.Send(r); err != nil {
					return err
				}
			}
		case <-st.ended:
			return errors.New("another stream has taken over")
		case <-s.Context().Done():
			return s.Context().Err()
		case err := <-received:
			return err
		}
	}
}

// request takes what Envoy says: what it wants, and what it thinks of the
// last response.
func (x *xds) request(st *stream, r *discovery.DiscoveryRequest) {
	x.mu.Lock()
	defer x.mu.Unlock()
	defer x.announce()
	if v := r.GetNode().GetUserAgentBuildVersion().GetVersion(); v != nil {
		x.envoyVersion = fmt.Sprintf("%d.%d.%d", v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch())
	}
	k := kind(r.GetTypeUrl())
	sub := st.kinds[k]
	if sub == nil {
		sub = &subscription{}
		st.kinds[k] = sub
	} else if r.GetResponseNonce() != sub.nonce {
		return // about a response before the last one: the next will follow
	}
	sub.names = slices.Sorted(slices.Values(r.GetResourceNames()))
	switch {
	case sub.nonce == "":
	case r.GetErrorDetail() != nil:
		sub.refused, sub.words = sub.version, r.GetErrorDetail().GetMessage()
	default:
		sub.acked = sub.version
	}
	st.wake()
}

func (st *stream) wake() {
	select {
	case st.dirty <- struct{}{}:
	default:
	}
}

// responses are those that Envoy has not got yet.
func (x *xds) responses(st *stream) []*discovery.DiscoveryResponse {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.begun {
		return nil
	}
	var list []*discovery.DiscoveryResponse
	// In this order what is referred to comes first.
	for _, k := range []kind{clusters, endpoints, listeners, routes} {
		sub, w := st.kinds[k], x.wanted[k]
		if sub == nil || sub.version == w.version && slices.Equal(sub.sent, sub.names) {
			continue
		}
		r := &discovery.DiscoveryResponse{
			VersionInfo: strconv.FormatUint(w.version, 10), TypeUrl: string(k), Nonce: nextNonce(sub.nonce),
			Resources: w.resources.named(sub.names),
		}
		sub.nonce, sub.version, sub.sent = r.GetNonce(), w.version, sub.names
		list = append(list, r)
	}
	return list
}

func nextNonce(last string) string {
	n, _ := strconv.ParseUint(last, 10, 64) // empty at first
	return strconv.FormatUint(n+1, 10)
}

// named returns the resources of those names, or all if there are none.
func (r resources) named(names []string) []*anypb.Any {
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(r))
	}
	var list []*anypb.Any
	for _, name := range names {
		if a, ok := r[name]; ok {
			list = append(list, a)
		}
	}
	return list
}

// set changes what Envoy is to have of some kinds, which are then sent together
// and in order, and returns the versions.
func (x *xds) set(s state) map[kind]uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	versions := map[kind]uint64{}
	for k, r := range s {
		w := x.wanted[k]
		w.version++
		w.resources = r
		versions[k] = w.version
	}
	x.begun = true
	if x.stream != nil {
		x.stream.wake()
	}
	return versions
}

// version is that of the Envoy that connected last, if any has.
func (x *xds) version() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.envoyVersion
}

// has returns what Envoy is to have now.
func (x *xds) has(k kind) resources {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.wanted[k].resources
}

// wait waits until Envoy has taken a version with every resource in it that
// it is to know by name. A refusal is an error with Envoy's words.
func (x *xds) wait(ctx context.Context, k kind, version uint64, names []string) error {
	for {
		done, moved, err := x.state(k, version, names)
		if done || err != nil {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return &loadbalancer.ApplyError{Driver: driverName, Step: k.String(),
				Err: fmt.Errorf("envoy does not acknowledge the change: %w", ctx.Err())}
		}
	}
}

func (x *xds) state(k kind, version uint64, names []string) (done bool, moved <-chan struct{}, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stream == nil || x.stream.kinds[k] == nil {
		// A kind of which Envoy needs nothing is not asked for.
		return x.stream != nil && len(names) == 0 && k == endpoints, x.moved, nil
	}
	sub := x.stream.kinds[k]
	if sub.refused >= version {
		return false, nil, &loadbalancer.ApplyError{Driver: driverName, Step: k.String(), Output: sub.words}
	}
	for _, name := range names {
		if !slices.Contains(sub.sent, name) {
			return false, x.moved, nil
		}
	}
	return sub.acked >= version && sub.acked == sub.version && slices.Equal(sub.sent, sub.names), x.moved, nil
}
