package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/jmeter/process"
)

// slaveFlags are those of clover-jmeter slave.
type slaveFlags struct {
	jmeter           jmeterFlags
	port, serverPort int
	advertise        string
	health           string
}

func runSlave(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var s slaveFlags
	f := pflag.NewFlagSet("clover-jmeter slave", pflag.ContinueOnError)
	s.jmeter.add(f)
	f.IntVar(&s.port, "port", 1099, "`port` of RMI's registry")
	f.IntVar(&s.serverPort, "server-port", 0, "`port` of what the registry names (default: any)")
	f.StringVar(&s.advertise, "advertise", os.Getenv("POD_IP"), "`address` at which masters reach this slave")
	f.StringVar(&s.health, "health-address", "127.0.0.1:9181", "`address` of /healthz and /readyz")
	if err := cli.Parse(f, args, stderr, "Makes requests for a master.\n\nUsage:\n  clover-jmeter slave [flags]\n"); err != nil {
		return err
	}
	switch {
	case s.jmeter.home == "":
		return cli.Usagef("--jmeter-home FOLDER is needed")
	case s.advertise == "":
		return cli.Usagef("--advertise ADDRESS is needed: RMI tells masters where to connect to")
	case s.jmeter.keys == "" && !s.jmeter.plain:
		return cli.Usagef("--keys FOLDER is needed, or --plain-rmi where nobody else reaches this slave")
	}
	dir, err := os.MkdirTemp("", "clover-jmeter-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder in the system's own for such
	s.jmeter.verbose = true                  // what a slave prints is its log
	program, err := s.jmeter.program(stderr)
	if err != nil {
		return err
	}
	keys, err := s.jmeter.readKeys()
	if err != nil {
		return err
	}
	slave := process.Slave{
		JMeter: *program, Addr: net.JoinHostPort(s.advertise, strconv.Itoa(s.port)), ObjectPort: s.serverPort,
		Keys: keys, Plain: s.jmeter.plain, Dir: dir,
	}
	return s.serve(ctx, &slave, stdout)
}

// serve runs the slave and answers probes.
func (s *slaveFlags) serve(ctx context.Context, slave *process.Slave, stdout io.Writer) error {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", s.health)
	if err != nil {
		return fmt.Errorf("--health-address: %w", err)
	}
	fmt.Fprintf(stdout, "clover-jmeter slave begins: RMI %s, health %s\n", slave.Addr, l.Addr())
	return cli.Probed(ctx, l, s.probes(slave.Addr), func(ctx context.Context) error {
		err := slave.Run(ctx)
		if err == nil {
			return errors.New("JMeter has ended by itself")
		}
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil
		}
		return err
	})
}

// probes answers /healthz, and /readyz once the registry takes connections.
func (s *slaveFlags) probes(addr string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(r.Context(), "tcp", addr)
		if err != nil {
			http.Error(w, "JMeter does not listen yet", http.StatusServiceUnavailable)
			return
		}
		_ = conn.Close() // it was only to see that somebody listens
		_, _ = io.WriteString(w, "ok\n")
	})
	return mux
}
