package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// startNginx runs a role that nginx serves.
func startNginx(t *testing.T, role string, args ...string) *process {
	t.Helper()
	args = append([]string{"--nginx", testutil.Require(t, components.NginxMainline()), "--http-addr", testutil.FreeAddr(t)}, args...)
	p := start(t, role, args...)
	return p
}

// publicDir is a folder that nginx's workers may read.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && len(d) > 1; d = filepath.Dir(d) {
		check(t, os.Chmod(d, 0o755))
	}
	return dir
}

// TestNginxServesTheRoles is the chain with real nginx: new servers, a file
// that is put into a site, and a client that is kept out.
func TestNginxServesTheRoles(t *testing.T) {
	var addrs []string
	for _, text := range []string{"one", "two"} {
		root := publicDir(t)
		check(t, os.WriteFile(filepath.Join(root, "index.html"), []byte(text), 0o644))
		check(t, os.WriteFile(filepath.Join(root, "uploaded"), []byte("file of "+text), 0o644))
		addrs = append(addrs, startNginxServer(t, root).http)
	}
	lb := startNginx(t, "lb", "--servers", addrs[0])
	proxy := startNginx(t, "proxy", "--upstream", lb.http, "--mirror", "", "--trusted-hops", "1")
	front := "http://" + proxy.http
	expect := func(path string, status int, text string, headers ...string) {
		t.Helper()
		if got, body := get(t, front+path, headers...); got != status || !strings.Contains(body, text) {
			t.Errorf("%s %v: %d %q, want %d %q", path, headers, got, body, status, text)
		}
	}
	expect("/", 200, "one")

	ctl := nginx.NewControllerClient(dial(t, lb, nil))
	dry, err := ctl.ModifyLB(t.Context(), &nginx.ModifyLBRequest{LbList: []*nginx.Server{{Url: addrs[1]}}, DryRun: true})
	if err != nil || len(dry.GetChange().GetDiff()) != 2 {
		t.Errorf("dry run: %v, %v", dry, err)
	}
	expect("/", 200, "one")
	res, err := ctl.ModifyLB(t.Context(), &nginx.ModifyLBRequest{LbList: []*nginx.Server{{Url: addrs[1]}}})
	if err != nil || res.GetMessage() != "Modified nginx config" || !res.GetChange().GetLosesNone() {
		t.Fatalf("%v, %v", res, err)
	}
	expect("/", 200, "two")
	if _, err := ctl.Undo(t.Context(), &nginx.UndoRequest{}); err != nil {
		t.Fatal(err)
	}
	expect("/", 200, "one")

	gate := nginx.NewControllerClient(dial(t, proxy, nil))
	alert := &nginx.ProcessAlertsRequest{EventId: "1", SourceIp: "203.0.113.9", SignatureId: 9000001, Signature: "a scan"}
	if res, err := gate.ProcessAlerts(t.Context(), alert); err != nil || !res.GetBlocked() {
		t.Fatalf("%v, %v", res, err)
	}
	expect("/", 403, "", "X-Forwarded-For", "203.0.113.9")
	expect("/", 200, "one", "X-Forwarded-For", "203.0.113.8")
	if _, err := gate.Unblock(t.Context(), &nginx.UnblockRequest{Prefix: "203.0.113.9"}); err != nil {
		t.Fatal(err)
	}
	expect("/", 200, "one", "X-Forwarded-For", "203.0.113.9")
}

// startNginxServer serves a folder, and puts an uploaded file into it.
func startNginxServer(t *testing.T, root string) *process {
	t.Helper()
	s := startNginx(t, "server", "--site-root", root)
	ctl := nginx.NewControllerClient(dial(t, s, nil))
	res, err := ctl.ModifyServer(t.Context(), &nginx.ModifyServerRequest{
		Locations: []*nginx.Location{{UriMatch: "/clover/testurl", Directive: "try_files $uri @default2", Path: "/clover/testurl"}},
		Files:     []*nginx.File{{SrcFile: filepath.Join(root, "uploaded"), DestFile: filepath.Join(root, "clover/testurl/file1.png")}},
	})
	if err != nil || res.GetFiles() != 1 {
		t.Fatalf("%v, %v", res, err)
	}
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		_, body := get(t, "http://"+s.http+"/clover/testurl/file1.png")
		return strings.HasPrefix(body, "file of"), body
	})
	for _, directive := range []string{"return 200 x", "try_files $uri =200; } server {", "proxy_pass http://127.0.0.1"} {
		_, err := ctl.ModifyServer(t.Context(), &nginx.ModifyServerRequest{Locations: []*nginx.Location{{UriMatch: "/x", Directive: directive}}})
		if err == nil {
			t.Errorf("%q is accepted", directive)
		}
	}
	return s
}
