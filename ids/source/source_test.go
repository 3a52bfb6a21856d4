package source

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/ids"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func rule(sid int) string {
	return fmt.Sprintf("alert ip any any -> any any (msg:\"a\"; classtype:misc-activity; sid:%d; rev:1;)\n", sid)
}

// archive makes a .tar.gz of names and texts.
func archive(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o600, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	z.Close()
	return b.Bytes()
}

// serve answers paths with bodies over TLS.
func serve(t *testing.T, bodies map[string][]byte) (url string, client *http.Client) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.Path]
		switch {
		case r.URL.Path == "/slow":
			<-r.Context().Done()
		case r.URL.Path == "/plain":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		case !ok:
			http.NotFound(w, r)
		default:
			w.Write(body)
		}
	}))
	t.Cleanup(s.Close)
	c := s.Client()
	c.CheckRedirect = stayOnHTTPS
	return s.URL, c
}

func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFoldersAndRemotes(t *testing.T) {
	pack := archive(t, "rules/b.rules", rule(4), "../../etc/c.rules", rule(5), "rules/README", "no rule", "rules/sid-msg.map", "x\x00")
	var single bytes.Buffer
	z := gzip.NewWriter(&single)
	z.Write([]byte(rule(6)))
	z.Close()
	url, client := serve(t, map[string][]byte{"/one.rules": []byte(rule(3)), "/pack.tar.gz": pack, "/one.rules.gz": single.Bytes()})
	dir := folder(t, "b.rules", rule(2), "a.rules", rule(1), "notes.txt", "nothing")
	s := Source{
		Folders: []string{dir}, Client: client,
		Remotes: []Remote{{URL: url + "/one.rules"}, {URL: url + "/pack.tar.gz", SHA256: fmt.Sprintf("%X", sha256.Sum256(pack))}, {URL: url + "/one.rules.gz"}},
	}
	rules, err := s.Load(t.Context())
	if err != nil || rules.Len() != 6 {
		t.Fatalf("%+v, %v", rules, err)
	}
	var names []string
	for i, f := range rules.Files {
		names = append(names, strings.TrimPrefix(strings.TrimPrefix(f.Name, dir), url))
		if f.Find(1, uint32(i+1)) == nil {
			t.Errorf("file %d: %s", i, f)
		}
	}
	want := "/a.rules /b.rules /one.rules /pack.tar.gz!rules/b.rules /pack.tar.gz!../../etc/c.rules /one.rules.gz"
	if got := filepath.ToSlash(strings.Join(names, " ")); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if rules, err := (Source{}).Load(t.Context()); err != nil || rules.Len() != 0 {
		t.Errorf("%+v, %v", rules, err)
	}
}

func TestWrongRulesAreRefusedWhole(t *testing.T) {
	dir := folder(t, "a.rules", rule(1)+"alert nonsense\n", "b.rules", rule(1)+strings.Replace(rule(2), "rev:1;", "", 1))
	rules, err := Source{Folders: []string{dir}}.Load(t.Context())
	var refused *RefusedError
	if rules != nil || !errors.As(err, &refused) || !errors.Is(err, ErrRefused) {
		t.Fatalf("%+v, %v", rules, err)
	}
	if len(refused.Syntax) != 1 || refused.Syntax[0].Position.String() != filepath.Join(dir, "a.rules")+":2:15" {
		t.Errorf("%v", refused.Syntax)
	}
	if len(refused.Findings) != 1 || refused.Findings[0].Code != ids.CodeDuplicateSID || refused.Findings[0].Position.File != filepath.Join(dir, "b.rules") {
		t.Errorf("%v", refused.Findings)
	}
	// What is only a warning is returned with the rules.
	rules, err = Source{Folders: []string{folder(t, "b.rules", strings.Replace(rule(2), "rev:1;", "", 1))}}.Load(t.Context())
	if err != nil || len(rules.Findings) != 1 || rules.Findings[0].Code != ids.CodeMissingRev {
		t.Errorf("%+v, %v", rules, err)
	}
}

func TestLimits(t *testing.T) {
	bomb := archive(t, "filler", strings.Repeat("0", 8<<20))
	url, client := serve(t, map[string][]byte{
		"/a": []byte(rule(1)), "/big": bytes.Repeat([]byte("# x\n"), 1000), "/bomb.tar.gz": bomb,
		"/broken.tar.gz": {0x1f, 0x8b, 0}, "/binary": []byte("a\x00b"), "/many.tar.gz": archive(t, "a.rules", rule(1), "b.rules", rule(2), "c.rules", rule(3)),
	})
	for _, c := range []struct {
		name   string
		remote Remote
		want   error
	}{
		{"size", Remote{URL: url + "/big"}, ErrTooLarge},
		{"unpacked size", Remote{URL: url + "/bomb.tar.gz"}, ErrTooLarge},
		{"files", Remote{URL: url + "/many.tar.gz"}, ErrTooLarge},
		{"checksum", Remote{URL: url + "/a", SHA256: "00"}, ErrChecksum},
		{"scheme", Remote{URL: "http" + strings.TrimPrefix(url, "https") + "/a"}, ErrInsecure},
		{"no host", Remote{URL: "https:///a"}, ErrInsecure},
		{"redirect", Remote{URL: url + "/plain"}, ErrInsecure},
		{"time", Remote{URL: url + "/slow"}, context.DeadlineExceeded},
		{"not found", Remote{URL: url + "/none"}, nil},
		{"broken", Remote{URL: url + "/broken.tar.gz"}, nil},
		{"no text", Remote{URL: url + "/binary"}, ids.ErrSyntax},
		{"no address", Remote{URL: ":"}, nil},
	} {
		s := Source{Remotes: []Remote{c.remote}, Client: client, MaxBytes: 2000, MaxFiles: 2}
		if c.name == "time" {
			s.Timeout = 50 * time.Millisecond
		}
		if c.name == "unpacked size" {
			s.MaxBytes = 200 << 10
		}
		rules, err := s.Load(t.Context())
		if rules != nil || err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v", c.name, rules, err)
		}
	}
	dir := folder(t, "a.rules", strings.Repeat("# x\n", 1000))
	if _, err := (Source{Folders: []string{dir}, MaxBytes: 100}).Load(t.Context()); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := (Source{Folders: []string{filepath.Join(dir, "none")}}).Load(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func ExampleSource_Load() {
	rules, err := Source{Folders: []string{"../testdata"}}.Load(context.Background())
	fmt.Println(rules, errors.Is(err, ErrRefused)) // testdata has rules of three dialects
	// Output:
	// <nil> true
}

// TestSecretsOfURLsAreNotTold: feeds of rules take their users' codes in the
// query.
func TestSecretsOfURLsAreNotTold(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	for _, address := range []string{server.URL + "/s.tar.gz?oinkcode=SECRET", "https://user:SECRET@127.0.0.1:1/s.rules", "https://%zz?SECRET"} {
		_, err := Source{Remotes: []Remote{{URL: address}}, Client: server.Client()}.Load(t.Context())
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
