package testutil

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/components"
)

// EnvoyOptions says how to run Envoy. The zero value works.
type EnvoyOptions struct {
	// Name names this Envoy in messages; empty is "envoy".
	Name string
	// Concurrency is the number of worker threads; 0 is 1.
	Concurrency int
	// LogLevel is one of Envoy's; empty is "warning".
	LogLevel string
}

// EnvoyServer is a running Envoy.
type EnvoyServer struct {
	// Admin is the base URL of the admin interface ("http://HOST:PORT").
	Admin string

	t       testing.TB
	command Command
	process *Process
}

// Envoy runs a real Envoy until the end of the test. The bootstrap is JSON
// and has an admin address with a port, best one of [FreePort]. It is ready
// when it returns.
func Envoy(t testing.TB, bootstrap []byte, o EnvoyOptions) *EnvoyServer {
	t.Helper()
	path := Require(t, components.Envoy())
	admin, err := adminAddr(bootstrap)
	if err != nil {
		t.Fatalf("envoy: %v", err)
	}
	file := filepath.Join(t.TempDir(), "envoy.json")
	if err := os.WriteFile(file, bootstrap, 0o600); err != nil {
		t.Fatalf("envoy: %v", err)
	}
	s := &EnvoyServer{Admin: "http://" + admin, t: t, command: Command{
		Name: cmp.Or(o.Name, "envoy"), Path: path, Args: []string{
			"--config-path", file,
			"--concurrency", strconv.Itoa(cmp.Or(o.Concurrency, 1)),
			"--log-level", cmp.Or(o.LogLevel, "warning"),
			// No shared memory, no base id: any number run side by side.
			"--disable-hot-restart",
		},
	}}
	s.start()
	return s
}

// adminAddr reads the admin address from a bootstrap.
func adminAddr(bootstrap []byte) (string, error) {
	var b struct {
		Admin struct {
			Address struct {
				SocketAddress struct {
					Address   string `json:"address"`
					PortValue int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"address"`
		} `json:"admin"`
	}
	if err := json.Unmarshal(bootstrap, &b); err != nil {
		return "", fmt.Errorf("bootstrap: %w", err)
	}
	at := b.Admin.Address.SocketAddress
	if at.PortValue == 0 {
		return "", fmt.Errorf("bootstrap: no admin.address.socket_address.port_value")
	}
	return net.JoinHostPort(at.Address, strconv.Itoa(at.PortValue)), nil
}

func (s *EnvoyServer) start() {
	s.t.Helper()
	s.process = Start(s.t, s.command)
	s.process.WaitReady(60*time.Second, answers(s.Admin+"/ready"))
}

// AdminAddr is the "HOST:PORT" of the admin interface, which answers
// Prometheus at /stats/prometheus.
func (s *EnvoyServer) AdminAddr() string { return strings.TrimPrefix(s.Admin, "http://") }

// Stats returns the counters and gauges whose names match the regular
// expression (empty matches all), by Envoy's own names. used leaves out what
// was never updated. It may be called from any goroutine.
func (s *EnvoyServer) Stats(ctx context.Context, filter string, used bool) (map[string]float64, error) {
	query := url.Values{"type": {"All"}}
	if filter != "" {
		query.Set("filter", filter)
	}
	page := s.Admin + "/stats?" + query.Encode()
	if used {
		page += "&usedonly"
	}
	body, err := call(ctx, http.MethodGet, page)
	if err != nil {
		return nil, err
	}
	stats := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		// Names may have colons; text values and histograms are no numbers.
		i := strings.LastIndex(lines.Text(), ": ")
		if i < 0 {
			continue
		}
		if v, err := strconv.ParseFloat(lines.Text()[i+2:], 64); err == nil {
			stats[lines.Text()[:i]] = v
		}
	}
	return stats, nil
}

// Drain asks the listeners to end kindly: open connections are told to
// close, new ones are taken until Stop.
func (s *EnvoyServer) Drain() {
	s.t.Helper()
	s.post("/drain_listeners?graceful&skip_exit")
}

// Quit asks Envoy by its admin interface to end and waits for that.
func (s *EnvoyServer) Quit() {
	s.t.Helper()
	s.post("/quitquitquit")
	s.process.Stop()
}

func (s *EnvoyServer) post(path string) {
	s.t.Helper()
	if _, err := call(s.t.Context(), http.MethodPost, s.Admin+path); err != nil {
		s.t.Fatalf("envoy: %v", err)
	}
}

// Stop ends Envoy; spans that it has not sent yet are lost.
func (s *EnvoyServer) Stop() {
	s.t.Helper()
	s.process.Stop()
}

// Restart stops Envoy if it runs and starts it on the same ports, with its
// counters at zero.
func (s *EnvoyServer) Restart() {
	s.t.Helper()
	s.Stop()
	s.start()
}
