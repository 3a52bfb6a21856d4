package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/auth"
	"github.com/opnfv/clover/api/server/certfile"
	"github.com/opnfv/clover/internal/testutil"
)

const (
	readerToken   = "token-of-the-reader"
	operatorToken = "token-of-the-operator"
)

// askAs asks REST with a token.
func askAs(t *testing.T, client *http.Client, token, method, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("X-Request-Id", "by-"+token)
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// mutualCollector runs a collector that takes only clients named
// clover-controller, and returns its address and its audit log.
func mutualCollector(t *testing.T, ca *testutil.Authority) (addr string, audit *testutil.Output) {
	t.Helper()
	audit = &testutil.Output{}
	cert, key := ca.Server(t)
	config, err := certfile.Server(certfile.Files{Cert: cert, Key: key, CA: ca.File}, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	at, _ := startCollector(t, t.TempDir(), "127.0.0.1:0", server.Options{
		TLS: config, Authenticator: auth.Certificates{Names: []string{"clover-controller"}},
		Audit: slog.New(slog.NewTextHandler(audit, nil)),
	})
	return at.GRPC, audit
}

// TestTheChainIsProtected goes from a user with a token over TLS to the
// controller, and from there over mutual TLS to the collector.
func TestTheChainIsProtected(t *testing.T) {
	ca := testutil.NewAuthority(t)
	collector, collectorAudit := mutualCollector(t, ca)
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte(readerToken+",rita,reader\n"+operatorToken+",olaf,operator\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	serverCert, serverKey := ca.Server(t)
	clientCert, clientKey := ca.Client(t, "clover-controller")
	rest, audit := startController(t, collector, "--log-level", "error",
		"--tls-cert-file", serverCert, "--tls-key-file", serverKey, "--auth", "token-file", "--token-file", tokens,
		"--collector-ca-file", ca.File, "--collector-cert-file", clientCert, "--collector-key-file", clientKey)
	transport := &http.Transport{TLSClientConfig: ca.ClientConfig(t)}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}

	api := rest + "/api/v1/visibility/"
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		code, text := askAs(t, client, readerToken, http.MethodGet, api+"status")
		return code == http.StatusOK, text
	})
	if code, text := askAs(t, client, readerToken, http.MethodPost, api+"stop"); code != http.StatusForbidden {
		t.Errorf("stop by a reader: %d %s", code, text)
	}
	if code, text := askAs(t, client, operatorToken, http.MethodPost, api+"stop"); code != http.StatusOK {
		t.Errorf("stop by an operator: %d %s", code, text)
	}
	if code, text := askAs(t, client, readerToken, http.MethodGet, rest+"/"); code != http.StatusOK || !strings.Contains(text, "<html") {
		t.Errorf("the page for a reader: %d %.80s", code, text)
	}
	for want, log := range map[string]*testutil.Output{
		"user=olaf":                      audit,
		"outcome=PermissionDenied":       audit,
		"user=clover-controller":         collectorAudit,
		"request_id=by-" + operatorToken: collectorAudit,
		"VisibilityService/Stop":         collectorAudit,
		`permission="update visibility"`: collectorAudit,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in\n%s", want, log.String())
		}
	}
}

// TestTheCollectorKnowsItsController runs controllers that the collector is
// not to believe.
func TestTheCollectorKnowsItsController(t *testing.T) {
	ca, foreign := testutil.NewAuthority(t), testutil.NewAuthority(t)
	collector, _ := mutualCollector(t, ca)
	strangerCert, strangerKey := ca.Client(t, "clovisor")
	foreignCert, foreignKey := foreign.Client(t, "clover-controller")
	for name, c := range map[string]struct {
		args []string
		want int
		text string
	}{
		"no TLS":               {nil, http.StatusServiceUnavailable, ""},
		"no certificate":       {[]string{"--collector-ca-file", ca.File}, http.StatusServiceUnavailable, ""},
		"another's collector":  {[]string{"--collector-ca-file", foreign.File}, http.StatusServiceUnavailable, "certificate signed by unknown authority"},
		"another's controller": {[]string{"--collector-ca-file", ca.File, "--collector-cert-file", foreignCert, "--collector-key-file", foreignKey}, http.StatusServiceUnavailable, ""},
		"another agent":        {[]string{"--collector-ca-file", ca.File, "--collector-cert-file", strangerCert, "--collector-key-file", strangerKey}, http.StatusInternalServerError, "refuses this controller"},
	} {
		rest, _ := startController(t, collector, c.args...)
		// An attempt to connect has a second, in which a machine that is busy
		// may not have got as far as the certificates.
		testutil.Eventually(t, 10*time.Second, func() (bool, string) {
			code, text := ask(t, http.MethodGet, rest+"/api/v1/visibility/status", "")
			return code == c.want && strings.Contains(text, c.text), fmt.Sprintf("%s: %d %s, want %d with %q", name, code, text, c.want, c.text)
		})
	}
}
