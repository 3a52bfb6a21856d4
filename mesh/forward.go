package mesh

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/opnfv/clover/internal/podtunnel"
)

// maxAnswerBytes bounds what istiod or a proxy may answer.
const maxAnswerBytes = 256 << 20

// pod asks one port of a pod by HTTP, through the API server, as if from
// inside the pod. It has to be closed.
type pod struct {
	name   string // "NAMESPACE/NAME"
	http   *http.Client
	tunnel *podtunnel.Tunnel
}

// forward opens a way to that port of a pod.
func (c *Client) forward(ctx context.Context, namespace, name string, port int) (*pod, error) {
	tunnel, err := podtunnel.Open(ctx, c.config, c.core.RESTClient(), namespace, name)
	if err != nil {
		return nil, err
	}
	dial := func(context.Context, string, string) (net.Conn, error) { return tunnel.Dial(port) }
	return &pod{
		name: namespace + "/" + name, tunnel: tunnel,
		http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true, MaxIdleConns: 1}},
	}, nil
}

// get returns the body of an answer.
func (p *pod) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	case len(body) > maxAnswerBytes:
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxAnswerBytes)
	}
	return body, nil
}

func (p *pod) close() {
	p.http.CloseIdleConnections()
	_ = p.tunnel.Close() // what it carried has been read
}
