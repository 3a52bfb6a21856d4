package envoy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
)

// The files of the driver's folder.
const (
	xdsSocket     = "xds.sock"
	doorSocket    = "door.sock"
	adminSocket   = "admin.sock"
	bootstrapFile = "bootstrap.json"
	logFile       = "envoy.log"
)

// stopLimit is how long Envoy may take to end.
const stopLimit = 10 * time.Second

// Run serves xDS until ctx ends and, with [Options.Program], runs Envoy. If
// that ends by itself, Run returns why. Until the first Apply nothing is sent,
// so that an Envoy that runs already keeps what it has. Run may be called
// once.
func (d *Driver) Run(ctx context.Context) error {
	defer d.end()
	if err := os.Remove(d.file(xdsSocket)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", d.file(xdsSocket))
	if err != nil {
		return fmt.Errorf("envoy: xDS: %w", err)
	}
	server := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(server, d.xds)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer server.Stop()
	var ended <-chan error
	if d.options.Program != "" {
		stop, done, err := d.launch(ctx)
		if err != nil {
			return err
		}
		defer stop()
		ended = done
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return fmt.Errorf("envoy: xDS: %w", err)
	case err := <-ended:
		return fmt.Errorf("envoy: ended by itself: %w, see %s", err, d.file(logFile))
	}
}

// end waits for a change that is under way, and lets no other begin.
func (d *Driver) end() {
	d.change <- struct{}{}
	close(d.gone)
	d.door.close()
	<-d.change
}

// launch starts Envoy, after it has ended one that an earlier Run has left in
// this folder when it was killed.
func (d *Driver) launch(ctx context.Context) (stop func(), done <-chan error, err error) {
	if err := d.endOther(ctx); err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(d.file(bootstrapFile), d.Bootstrap(), 0o600); err != nil {
		return nil, nil, err
	}
	log, err := os.Create(d.file(logFile))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	args := []string{"--config-path", d.file(bootstrapFile), "--disable-hot-restart", "--log-level", "warning"}
	if d.options.Concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(d.options.Concurrency))
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), d.options.Program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.options.Dir, log, log
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("envoy: start: %w", err)
	}
	finished := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		if err == nil {
			err = errors.New("without an error")
		}
		ended <- err
		close(finished)
	}()
	return func() {
		for _, s := range []os.Signal{syscall.SIGTERM, os.Kill} {
			if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
				d.options.Logger.WarnContext(ctx, "envoy: end", "error", err)
			}
			select {
			case <-finished:
				return
			case <-time.After(stopLimit):
			}
		}
	}, ended, nil
}

// endOther ends an Envoy whose driver was killed.
func (d *Driver) endOther(ctx context.Context) error {
	if _, err := d.door.get(ctx, http.MethodPost, "/quitquitquit"); err != nil {
		return nil // nobody is there
	}
	limited, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return wait(limited, "the Envoy that was left", func() (bool, error) {
		_, err := d.door.get(limited, http.MethodGet, "/ready")
		return err != nil, errors.New("it still answers")
	})
}

// Bootstrap returns the configuration, as JSON, with which an Envoy finds this
// driver.
func (d *Driver) Bootstrap() []byte {
	pipe := func(name string) map[string]any { return map[string]any{"pipe": map[string]any{"path": d.file(name)}} }
	adsOnly := map[string]any{"resource_api_version": "V3", "ads": map[string]any{}}
	text, err := json.MarshalIndent(map[string]any{
		"node":  map[string]any{"id": "clover", "cluster": "clover"},
		"admin": map[string]any{"address": pipe(adminSocket)},
		"dynamic_resources": map[string]any{
			"ads_config": map[string]any{
				"api_type": "GRPC", "transport_api_version": "V3",
				"grpc_services": []any{map[string]any{"envoy_grpc": map[string]any{"cluster_name": "clover-xds"}}},
			},
			"cds_config": adsOnly, "lds_config": adsOnly,
		},
		"static_resources": map[string]any{"clusters": []any{map[string]any{
			"name": "clover-xds", "type": "STATIC", "connect_timeout": "1s",
			"typed_extension_protocol_options": map[string]any{
				"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": map[string]any{
					"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
					"explicit_http_config": map[string]any{"http2_protocol_options": map[string]any{}},
				},
			},
			"load_assignment": map[string]any{"cluster_name": "clover-xds", "endpoints": []any{map[string]any{
				"lb_endpoints": []any{map[string]any{"endpoint": map[string]any{"address": pipe(xdsSocket)}}},
			}}},
		}}},
	}, "", "  ")
	if err != nil {
		panic(err) // maps and strings can always be encoded
	}
	return text
}
