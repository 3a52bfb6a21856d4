// Package agents serves the load balancer and protection areas of Clover's
// API by asking the agents beside load balancers, proxies, servers and
// intrusion detection systems.
//
// A request names a target of [Options]; it cannot name an address.
package agents

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Kind says what an agent is beside.
type Kind string

// The kinds.
const (
	Balancer  Kind = "load balancer"
	Server    Kind = "server"
	Proxy     Kind = "proxy"
	Detection Kind = "intrusion detection system"
)

// Target is what people name, with its agents.
type Target struct {
	Kind Kind
	// Name as people use it, e.g. "http-lb-v2" or "http-lb-v2.default".
	Name string
	// Address is the HOST:PORT of its agents. Each address that HOST resolves
	// to is one replica.
	Address string
}

// ParseTarget reads NAME=HOST:PORT.
func ParseTarget(kind Kind, text string) (Target, error) {
	name, address, ok := strings.Cut(text, "=")
	if ok {
		_, _, err := net.SplitHostPort(address)
		ok = err == nil && name != ""
	}
	if !ok {
		return Target{}, fmt.Errorf("%q is not NAME=HOST:PORT", text)
	}
	return Target{Kind: kind, Name: name, Address: address}, nil
}

// Options of Agents. The zero value knows no agent.
type Options struct {
	Targets []Target
	// Credentials of the connections. nil: no TLS.
	Credentials credentials.TransportCredentials
	// Timeout bounds one call of one agent, its connection included. 0: 10 s.
	Timeout time.Duration
	// Lookup resolves a host. nil: that of the system.
	Lookup func(ctx context.Context, host string) ([]string, error)
	// Dial connects to an agent at an address of those. nil: by TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Agents knows where agents are. Methods may be called concurrently.
type Agents struct {
	opts    Options
	targets map[string]Target // by canonical name
}

// New returns Agents.
func New(o Options) (*Agents, error) {
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	if o.Credentials == nil {
		o.Credentials = insecure.NewCredentials()
	}
	if o.Lookup == nil {
		o.Lookup = net.DefaultResolver.LookupHost
	}
	a := &Agents{opts: o, targets: map[string]Target{}}
	for _, t := range o.Targets {
		name := canonical(t.Name)
		if _, twice := a.targets[name]; twice {
			return nil, fmt.Errorf("agents: %s is there twice", t.Name)
		}
		a.targets[name] = t
	}
	return a, nil
}

// canonical makes the spellings of a name alike: users know both "_" and "-".
func canonical(name string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSuffix(name, ".")), "_", "-")
}

// find returns the target of one of some kinds. A name may be given with its
// namespace or without; "" is the only one.
func (a *Agents) find(name string, kinds ...Kind) (Target, error) {
	var found []Target
	known := a.list(kinds...)
	for _, t := range known {
		if canonical(t.Name) == canonical(name) {
			return t, nil
		}
		if name == "" || sameService(t.Name, name) {
			found = append(found, t)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if len(known) == 0 {
		return Target{}, status.Errorf(codes.FailedPrecondition, "this controller knows no %s; its flags name them", kinds[0])
	}
	code, is := codes.NotFound, fmt.Sprintf("%q is not known here", name)
	switch {
	case len(found) > 0 && name == "":
		code, is = codes.InvalidArgument, "which one? Name it"
	case len(found) > 0:
		code, is = codes.InvalidArgument, fmt.Sprintf("%q may be more than one", name)
	}
	return Target{}, status.Errorf(code, "%s: %s; want one of %s", kinds[0], is, strings.Join(names(known), ", "))
}

// sameService reports whether two names are alike but for a namespace that
// only one of them has.
func sameService(a, b string) bool {
	serviceA, namespaceA, _ := strings.Cut(canonical(a), ".")
	serviceB, namespaceB, _ := strings.Cut(canonical(b), ".")
	return serviceA == serviceB && (namespaceA == "" || namespaceB == "")
}

// list returns the targets of some kinds by name.
func (a *Agents) list(kinds ...Kind) []Target {
	all := slices.SortedFunc(maps.Values(a.targets), func(x, y Target) int { return cmp.Compare(x.Name, y.Name) })
	return slices.DeleteFunc(all, func(t Target) bool { return !slices.Contains(kinds, t.Kind) })
}

func names(targets []Target) (list []string) {
	for _, t := range targets {
		list = append(list, t.Name)
	}
	return list
}

// replica is one agent of a target.
type replica struct {
	target  Target
	address string
	conn    *grpc.ClientConn
	timeout time.Duration
}

// open connects to the agents of a target. They must be closed.
func (a *Agents) open(ctx context.Context, t Target) (replicas, error) {
	host, port, err := net.SplitHostPort(t.Address)
	if err != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "%s: %v", t.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, a.opts.Timeout)
	defer cancel()
	addresses, err := a.opts.Lookup(ctx, host)
	if err != nil || len(addresses) == 0 {
		return nil, status.Errorf(codes.Unavailable, "%s has no agent at %s: %v; is it running?", t.Name, t.Address, err)
	}
	slices.Sort(addresses)
	var list replicas
	for _, address := range slices.Compact(addresses) {
		address = net.JoinHostPort(address, port)
		options := []grpc.DialOption{grpc.WithTransportCredentials(a.opts.Credentials), grpc.WithAuthority(host)}
		if a.opts.Dial != nil {
			options = append(options, grpc.WithContextDialer(a.opts.Dial))
		}
		conn, err := grpc.NewClient("passthrough:///"+address, options...)
		if err != nil {
			list.close()
			return nil, status.Errorf(codes.Internal, "%s: %v", t.Name, err)
		}
		list = append(list, replica{t, address, conn, a.opts.Timeout})
	}
	return list, nil
}

type replicas []replica

func (rs replicas) close() {
	for _, r := range rs {
		_ = r.conn.Close() // of a connection that nobody uses
	}
}

// call calls one agent and says of whom an error is.
func call[Res any](ctx context.Context, r replica, f func(context.Context, grpc.ClientConnInterface) (Res, error)) (Res, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	res, err := f(ctx, r.conn)
	return res, r.explain(err)
}

// explain says which agent an error is of, and what to do.
func (r replica) explain(err error) error {
	if err == nil {
		return nil
	}
	who := r.target.Name + " at " + r.address
	switch st := status.Convert(err); st.Code() {
	case codes.Unavailable:
		return status.Errorf(codes.Unavailable, "%s: the agent does not answer: %s; is it running?", who, st.Message())
	case codes.DeadlineExceeded:
		return status.Errorf(codes.DeadlineExceeded, "%s: the agent has not answered within %s", who, r.timeout)
	case codes.Unauthenticated, codes.PermissionDenied:
		return status.Errorf(codes.Internal, "%s: the agent refuses this controller: %s", who, st.Message())
	case codes.Unimplemented:
		return status.Errorf(codes.Unimplemented, "%s: %s", who, st.Message())
	default:
		return status.Errorf(st.Code(), "%s: %s", who, st.Message())
	}
}

// askFirst asks one agent of a target: the first that answers.
func askFirst[Res any](ctx context.Context, a *Agents, t Target, f func(context.Context, grpc.ClientConnInterface) (Res, error)) (Res, error) {
	var zero Res
	rs, err := a.open(ctx, t)
	if err != nil {
		return zero, err
	}
	defer rs.close()
	var errs []error
	for _, r := range rs {
		res, err := call(ctx, r, f)
		if err == nil || status.Code(err) != codes.Unavailable {
			return res, err
		}
		errs = append(errs, err)
	}
	return zero, status.Error(codes.Unavailable, errors.Join(errs...).Error())
}

// askAll asks each agent of a target, and stops at the first that fails.
func askAll[Res any](ctx context.Context, rs replicas, f func(context.Context, grpc.ClientConnInterface) (Res, error)) ([]Res, error) {
	var list []Res
	for _, r := range rs {
		res, err := call(ctx, r, f)
		if err != nil {
			return list, err
		}
		list = append(list, res)
	}
	return list, nil
}
