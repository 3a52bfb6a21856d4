package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opnfv/clover/api/server/auth"
)

// watchRights cancels a stream with the reason as its cause when its caller
// is not known any more or may not read it any more. stop ends the watch.
func (s *Server) watchRights(ctx context.Context, cancel context.CancelCauseFunc, call audited) (stop func()) {
	if s.opts.Authenticator == nil || call.open {
		return func() {}
	}
	ctx, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(s.opts.Recheck)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			// What cannot be found out now changes nothing.
			if err := s.stillAllowed(ctx, call); errors.Is(err, auth.ErrDenied) || errors.Is(err, auth.ErrUnauthenticated) {
				cancel(statusOf(err))
				return
			}
		}
	}()
	return func() { end(); <-done }
}

// stillAllowed asks again what was asked when a call began.
func (s *Server) stillAllowed(ctx context.Context, call audited) error {
	if call.Session != "" && s.sessions.token(call.Session) == "" {
		return fmt.Errorf("%w: the browser has signed out", auth.ErrUnauthenticated)
	}
	who := call.Identity
	if call.Token != "" {
		now, err := s.opts.Authenticator.Authenticate(ctx, auth.Credentials{Token: call.Token})
		if err != nil {
			return err
		}
		if now.User != who.User {
			return fmt.Errorf("%w: the token is another user's now", auth.ErrUnauthenticated)
		}
		who = now
	}
	return s.opts.Authorizer.Authorize(ctx, who, call.Permission)
}
