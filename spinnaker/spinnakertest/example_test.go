package spinnakertest_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/halyard"
	"github.com/opnfv/clover/spinnaker/spinnakertest"
)

// Example adds an account to a stand-in of Halyard, which loses the task but
// has done its work.
func Example() {
	daemon := spinnakertest.NewHalyard(spinnakertest.HalyardOptions{})
	server := httptest.NewServer(daemon)
	defer server.Close()
	client, err := halyard.New(halyard.Options{URL: server.URL, HTTP: server.Client()})
	if err != nil {
		fmt.Println(err)
		return
	}
	registry := spinnaker.DockerRegistry{Name: "dockerhub", Address: "https://registry.example", Repositories: []string{"opnfv/clover"}}
	daemon.Inject(spinnakertest.Fault{Kind: spinnakertest.LoseDoneTask, Method: "POST"})
	fmt.Println(client.AddAccount(context.Background(), registry.Account()))
	fmt.Println(daemon.Accounts(spinnaker.DockerRegistryProvider)[0]["name"], daemon.Enabled(spinnaker.DockerRegistryProvider))
	// Output:
	// <nil>
	// dockerhub true
}
