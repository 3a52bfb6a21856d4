package spinnaker_test

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/spinnaker"
)

// kubeconfig is one of two clusters; server and ca are those of "one".
func kubeconfig(server, ca string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: one
clusters:
- name: c1
  cluster: {server: %q, certificate-authority-data: %q}
- name: c2
  cluster: {server: "https://two.example:6443", insecure-skip-tls-verify: true}
contexts:
- name: one
  context: {cluster: c1, user: u1, namespace: dev}
- name: two
  context: {cluster: c2, user: u2}
- name: broken
  context: {cluster: c3, user: u1}
users:
- name: u1
  user: {token: hunter2}
- name: u2
  user: {exec: {command: aws-iam-authenticator, args: [hunter3]}}
`, server, ca)
}

func TestKubeconfig(t *testing.T) {
	k, err := spinnaker.ReadKubeconfig([]byte(kubeconfig("https://127.0.0.1:6443", "")))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(k.Contexts()); got != "[broken one two]" {
		t.Error("contexts", got)
	}
	c, err := k.Context("")
	if err != nil || c.Name != "one" || c.Auth != "token" || c.Namespace != "dev" || len(c.Notes) != 1 {
		t.Errorf("context %+v, %v", c, err)
	}
	c, err = k.Context("two")
	if err != nil || c.Auth != "program aws-iam-authenticator" || len(c.Notes) != 2 {
		t.Errorf("context %+v, %v", c, err)
	}
	for name, want := range map[string]string{"broken": "lacks the cluster", "nope": "want one of: broken, one, two"} {
		if _, err := k.Context(name); !errors.Is(err, spinnaker.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	small, err := k.Minify("one")
	if err != nil {
		t.Fatal(err)
	}
	if text := small.Reveal(); strings.Contains(text, "two.example") || strings.Contains(text, "hunter3") || !strings.Contains(text, "hunter2") {
		t.Error("minified:", text)
	}
	if text := fmt.Sprintf("%v %+v %#v %v", k, k, k, small); strings.Contains(text, "hunter") {
		t.Error("it prints:", text)
	}
}

func TestKubeconfigRefuses(t *testing.T) {
	for file, want := range map[string]string{
		"kind: Pod":                          "not a kubeconfig",
		"{}":                                 "without contexts",
		"users: hunter2":                     "not a kubeconfig",
		"users: [":                           "not YAML",
		strings.Repeat("#", 2<<20):           "at most",
		"contexts: [{name: a}]":              "no current context",
		"current-context: a\ncontexts: [{}]": `no context "a"`,
	} {
		k, err := spinnaker.ReadKubeconfig([]byte(file))
		if err == nil {
			_, err = k.Context("")
		}
		if !errors.Is(err, spinnaker.ErrInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.40q: %v", file, err)
		}
	}
}

func TestFlatten(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"ca.crt": "CA", "token": "hunter2\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 'https://h', certificate-authority: ca.crt}}]\nusers: [{name: u, user: {tokenFile: token}}]"
	k, err := spinnaker.ReadKubeconfig([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Reach(t.Context(), ""); !errors.Is(err, spinnaker.ErrInvalid) || !strings.Contains(err.Error(), "--flatten") {
		t.Errorf("files are not read: %v", err)
	}
	if err := k.Flatten(dir, os.ReadFile); err != nil {
		t.Fatal(err)
	}
	small, err := k.Minify("")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"certificate-authority-data: Q0E=", "token: hunter2"} {
		if !strings.Contains(small.Reveal(), want) {
			t.Errorf("%s is missing in\n%s", want, small.Reveal())
		}
	}
	if strings.Contains(small.Reveal(), "tokenFile") || strings.Contains(small.Reveal(), "ca.crt") {
		t.Error("files are left:", small.Reveal())
	}
}

func TestReach(t *testing.T) {
	status, body := http.StatusOK, `{"gitVersion":"v1.34.4"}`
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version" || r.Header.Get("Authorization") != "Bearer hunter2" {
			t.Errorf("asked %s with %q", r.URL, r.Header.Get("Authorization"))
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "https://elsewhere.example/")
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	defer srv.Close()
	ca := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	k, err := spinnaker.ReadKubeconfig([]byte(kubeconfig(srv.URL, ca)))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := k.Reach(t.Context(), ""); err != nil || v != "v1.34.4" {
		t.Errorf("got %q, %v", v, err)
	}
	for _, c := range []struct {
		status int
		body   string
		want   error
	}{
		{401, "", spinnaker.ErrDenied}, {403, "", spinnaker.ErrDenied}, {302, "", spinnaker.ErrTemporary},
		{500, "", spinnaker.ErrTemporary}, {200, "<html>", spinnaker.ErrProtocol}, {200, "{}", spinnaker.ErrProtocol},
	} {
		status, body = c.status, c.body
		if _, err := k.Reach(t.Context(), ""); !errors.Is(err, c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d: %v", c.status, err)
		}
	}
	if _, err := k.Reach(t.Context(), "two"); !errors.Is(err, spinnaker.ErrUnsupported) {
		t.Errorf("a program for the credentials: %v", err)
	}
	srv.Close()
	if _, err := k.Reach(t.Context(), ""); !errors.Is(err, spinnaker.ErrTemporary) {
		t.Errorf("nobody there: %v", err)
	}
}

func FuzzKubeconfig(f *testing.F) {
	f.Add([]byte(kubeconfig("https://h", "")))
	f.Add([]byte("contexts: [{name: a, context: {cluster: 1}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := spinnaker.ReadKubeconfig(data)
		if err != nil {
			return
		}
		for _, name := range k.Contexts() {
			if _, err := k.Context(name); err != nil {
				continue
			}
			small, err := k.Minify(name)
			if err != nil {
				t.Fatal(err)
			}
			again, err := spinnaker.ReadKubeconfig([]byte(small.Reveal()))
			if err != nil || len(again.Contexts()) != 1 {
				t.Errorf("%q: minified %q: %v", data, small.Reveal(), err)
			}
		}
	})
}
