package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// A proxy is changed while it serves.
func Example() {
	server := func(name string) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) }))
	}
	one, two := server("one"), server("two")
	defer one.Close()
	defer two.Close()

	p := proxy.New(proxy.Options{})
	front := httptest.NewServer(p) // or listeners in the configuration, and p.Run
	defer front.Close()
	for _, s := range []*httptest.Server{one, two} {
		_, err := p.Apply(context.Background(), loadbalancer.Config{
			Groups: []loadbalancer.Group{{Name: "web", Servers: []loadbalancer.Server{{Address: s.Listener.Addr().String()}}}},
			Routes: []loadbalancer.Route{{Path: "/", Group: "web"}},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		res, err := front.Client().Get(front.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		fmt.Print(string(body), err, "\n")
	}
	// Output:
	// one
	// <nil>
	// two
	// <nil>
}
