package testutil

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/components"
)

// S3Server is a running S3 server.
type S3Server struct {
	// URL is "http://127.0.0.1:PORT".
	URL string
	// AccessKey and SecretKey are those of its only user.
	AccessKey, SecretKey string
}

// S3 runs a real S3 server, without buckets, until the end of the test. It is
// ready when it returns.
func S3(t testing.TB) *S3Server {
	t.Helper()
	path := Require(t, components.S3())
	addr := FreeAddr(t)
	s := &S3Server{URL: "http://" + addr, AccessKey: "test-access-key", SecretKey: "test-secret-key"}
	process := Start(t, Command{
		Name: "versitygw", Path: path,
		Args: []string{
			"--access", s.AccessKey, "--secret", s.SecretKey, "--port", addr, "--quiet", "--keep-alive",
			// Not every file system has extended attributes.
			"posix", "--sidecar", t.TempDir(), t.TempDir(),
		},
	})
	process.WaitReady(30*time.Second, s.ready)
	return s
}

// ready asks without credentials and wants to be refused.
func (s *S3Server) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		return fmt.Errorf("it answers %s", res.Status)
	}
	return nil
}
