package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// probes answer for the node: /readyz says whether CQL is answered, /healthz
// whether it still is once it was. A node that starts, replays its log or
// joins others may take its time.
type probes struct {
	address  string
	answered atomic.Bool
}

func (p *probes) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		before := p.answered.Load()
		err := p.ask(r.Context())
		p.answer(w, before, err)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		p.answer(w, true, p.ask(r.Context()))
	})
	return mux
}

// answer says that all is well, unless err counts.
func (p *probes) answer(w http.ResponseWriter, counts bool, err error) {
	if err != nil && counts {
		http.Error(w, "Cassandra does not answer: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

// probeTime bounds one question.
const probeTime = 4 * time.Second

// ask asks the server of CQL what it supports, which needs no session.
func (p *probes) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	end, _ := ctx.Deadline()
	if err := conn.SetDeadline(end); err != nil {
		return err
	}
	if _, err := conn.Write([]byte{4, 0, 0, 0, 5, 0, 0, 0, 0}); err != nil {
		return err
	}
	header := make([]byte, 9)
	if _, err := io.ReadFull(conn, header); err != nil {
		return err
	}
	const supported = 6
	if header[4] != supported {
		return fmt.Errorf("opcode %d is not SUPPORTED", header[4])
	}
	p.answered.Store(true)
	return nil
}
