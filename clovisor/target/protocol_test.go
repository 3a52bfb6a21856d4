package target

import "testing"

func TestProtocolOf(t *testing.T) {
	for _, c := range []struct{ name, app, want string }{
		{"http", "", "http"}, {"http-1234", "", "http"}, {"HTTP-web", "", "http"}, {"http2-x", "", "http2"}, {"grpc", "", "grpc"},
		{"grpc-web", "", "http"}, {"grpc-web-x", "", "http"}, {"https-web", "", "tls"}, {"redis", "", "redis"}, {"tcp-http", "", "tcp"},
		{"dns-tcp", "", "dns"}, {"web", "", ""}, {"", "", ""}, {"httpweb", "", ""},
		{"web", "http", "http"}, {"http", "grpc", "grpc"}, {"http", "kubernetes.io/h2c", "http2"}, {"http", "kubernetes.io/ws", "http"},
		{"http", "example.com/fifo", "example.com/fifo"},
	} {
		if got := ProtocolOf(c.name, c.app); got != c.want {
			t.Errorf("%q, %q: %q, want %q", c.name, c.app, got, c.want)
		}
	}
}
