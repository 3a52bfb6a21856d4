package envoy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

// door asks Envoy's worker threads, and its admin interface. One goroutine
// uses it at a time.
type door struct {
	path, admin string
	client      *http.Client
	threads     []*thread // one connection to each
}

// thread is a connection to a worker thread.
type thread struct {
	conn net.Conn
	r    *bufio.Reader
}

func newDoor(path, admin string) *door {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", admin)
	}}
	return &door{path: path, admin: admin, client: &http.Client{Transport: transport}}
}

// close ends the connections.
func (d *door) close() {
	for _, t := range d.threads {
		_ = t.conn.Close()
	}
	d.threads = nil
	d.client.CloseIdleConnections()
}

// get reads a page of the admin interface.
func (d *door) get(ctx context.Context, method, page string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://admin"+page, nil)
	if err != nil {
		return nil, err
	}
	res, err := d.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("envoy's admin interface answers %s to %s: %.200s", res.Status, page, body)
	}
	return body, err
}

// settled waits until a gauge of Envoy is 0.
func (d *door) settled(ctx context.Context, gauge string) error {
	page := "/stats?" + url.Values{"filter": {"^" + strings.ReplaceAll(gauge, ".", `\.`) + "$"}}.Encode()
	return wait(ctx, gauge, func() (bool, error) {
		body, err := d.get(ctx, http.MethodGet, page)
		if err != nil {
			return false, err
		}
		text := strings.TrimSpace(string(body))
		if text != gauge+": 0" {
			return false, errors.New(text)
		}
		return true, nil
	})
}

// passed waits until every worker thread answers with the number.
func (d *door) passed(ctx context.Context, number uint64) error {
	err := wait(ctx, "worker threads", func() (bool, error) {
		if len(d.threads) == 0 {
			if err := d.open(ctx); err != nil {
				d.close()
				return false, err
			}
		}
		for _, t := range d.threads {
			got, err := t.ask(ctx)
			if err != nil {
				// Envoy has been started anew, or is just about to listen.
				d.close()
				return false, err
			}
			if got != number {
				return false, fmt.Errorf("a thread has change %d, not %d yet", got, number)
			}
		}
		return true, nil
	})
	return err
}

// open makes as many connections as there are threads; Envoy shares them out.
func (d *door) open(ctx context.Context) error {
	body, err := d.get(ctx, http.MethodGet, "/server_info")
	if err != nil {
		return err
	}
	var info struct {
		Options struct {
			Concurrency int `json:"concurrency"`
		} `json:"command_line_options"`
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return fmt.Errorf("envoy's /server_info: %w", err)
	}
	for range max(1, info.Options.Concurrency) {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", d.path)
		if err != nil {
			return err
		}
		d.threads = append(d.threads, &thread{conn: conn, r: bufio.NewReader(conn)})
	}
	return nil
}

// askLimit bounds one answer of a thread.
const askLimit = 5 * time.Second

func (t *thread) ask(ctx context.Context) (uint64, error) {
	end := time.Now().Add(askLimit)
	if limit, ok := ctx.Deadline(); ok && limit.Before(end) {
		end = limit
	}
	if err := t.conn.SetDeadline(end); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(t.conn, "GET / HTTP/1.1\r\nHost: door\r\n\r\n"); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(t.r, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64))
	if err != nil {
		return 0, err
	}
	if res.StatusCode != http.StatusOK {
		return 0, nil // no number yet
	}
	return strconv.ParseUint(string(body), 10, 64)
}

// wait tries again at growing intervals until done or the end of ctx.
func wait(ctx context.Context, what string, done func() (bool, error)) error {
	for pause := 200 * time.Microsecond; ; pause = min(2*pause, 2*time.Millisecond) {
		ok, err := done()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return &loadbalancer.ApplyError{Driver: driverName, Step: "verify",
				Err: fmt.Errorf("%s: %w: %w", what, ctx.Err(), err)}
		case <-time.After(pause):
		}
	}
}
