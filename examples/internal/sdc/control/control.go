// Package control is the agent beside each service of the sample: it answers
// the gRPC services nginx.Controller and snort.Controller, checks what it is
// asked for, and hands it on as plain values to what really does the work.
// Proxy, Balancer, Server and Engine are the seams: Clover's own small
// services stand behind them, or nginx and an IDS engine.
package control

import (
	"context"
	"errors"
	"net/netip"
)

// ErrInvalid marks a request that can never work as it is.
var ErrInvalid = errors.New("invalid")

// Alert is an event of an IDS.
type Alert struct {
	EventID     string
	RedisKey    string     // where the whole event is; "" nowhere
	Source      netip.Addr // invalid: only Redis knows
	SignatureID uint32
	Signature   string
}

// EngineState names a running or stopped engine.
type EngineState struct {
	Engine string
	PID    int
}

// Engine looks at traffic by rules. Methods may be called concurrently.
type Engine interface {
	// AddRule adds a rule, or replaces the one of the same SID by a later
	// revision, and returns how many there are. A running engine uses it at
	// once or after Stop and Start, as it can.
	AddRule(ctx context.Context, r Rule) (rules int, err error)
	// Start and Stop of what is started or stopped already change nothing.
	// Stop clears the engine's logs; its rules stay.
	Start(ctx context.Context) (EngineState, error)
	Stop(ctx context.Context) (EngineState, error)
}
