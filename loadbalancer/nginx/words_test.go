//go:build unix

package nginx

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer/nginx/conf"
)

// TestNginxReadsWhatWasEncoded lets nginx itself be the second parser: it
// serves words of random bytes, each as the answer of a location, and they
// have to come back as they were.
func TestNginxReadsWhatWasEncoded(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"", " ", "a b", `"`, `'`, `\`, `\\n`, "\n\r\t", "a;b", "} server { listen 1; }", "#c", "{", "}", "é\xff", `\"`, "a\\"}
	alphabet := []byte("ab \t\r\n\"'\\;{}#()*nrt/:")
	for range 400 {
		word := make([]byte, random.IntN(24))
		for i := range word {
			if random.IntN(4) == 0 {
				word[i] = byte(1 + random.IntN(255))
			} else {
				word[i] = alphabet[random.IntN(len(alphabet))]
			}
		}
		// A "$" is a variable to "return", and a "$" alone an error.
		words = append(words, strings.ReplaceAll(string(word), "$", "S"))
	}
	eachProgram(t, func(t *testing.T, path string) {
		dir, addr := folder(t), testutil.FreeAddr(t)
		p, err := inspect(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		pl := plan{program: p, options: Options{Dir: dir, Workers: 1}}
		block := []conf.Directive{conf.D("listen", addr), conf.D("keepalive_requests", "100000")}
		for i, word := range words {
			block = append(block, conf.B("location", []string{"=", "/" + strconv.Itoa(i)}, conf.D("return", "200", word+"!")))
		}
		text, err := conf.Encode([]conf.Directive{
			conf.D("daemon", "off"), conf.D("pid", dir+"/pid"), conf.D("error_log", "stderr"), conf.D("worker_processes", "1"),
			conf.B("events", nil),
			conf.B("http", nil, append(append([]conf.Directive{conf.D("access_log", "off")}, tempDirs(pl)...), conf.B("server", nil, block...))...),
		})
		if err != nil {
			t.Fatal(err)
		}
		file := dir + "/nginx.conf"
		if err := writeFile(file, text); err != nil {
			t.Fatal(err)
		}
		process := testutil.Start(t, testutil.Command{Name: "nginx", Path: path, Args: []string{"-p", dir, "-e", "stderr", "-c", file}, Dir: dir})
		process.WaitReady(20*time.Second, dialer(addr))
		for i, word := range words {
			if status, got := get(t, "GET", fmt.Sprintf("http://%s/%d", addr, i), nil); status != 200 || got != word+"!" {
				t.Errorf("%q came back as %d %q", word+"!", status, got)
			}
		}
		// And what nginx dumps of its configuration is read as the same tree.
		out, err := exec.CommandContext(t.Context(), path, "-T", "-q", "-p", dir, "-e", "stderr", "-c", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		tree, err := conf.Parse(out)
		if err != nil {
			t.Fatal(err)
		}
		again, err := conf.Encode(tree)
		if err != nil || string(again) != string(text) {
			t.Errorf("what nginx dumps is another tree, %v", err)
		}
	})
}

// tempDirs keep nginx out of the folders that it was built for.
func tempDirs(p plan) []conf.Directive {
	var list []conf.Directive
	for _, d := range p.tempFolders() {
		d.Args = []string{strings.ReplaceAll(d.Args[0], "/temp/", "/")}
		list = append(list, d)
	}
	return list
}

func TestTLS(t *testing.T) {
	eachProgram(t, func(t *testing.T, path string) {
		dr := running(t, Options{Program: path, Workers: 1, KeepAlive: time.Second, DrainTime: 10 * time.Millisecond})
		authority := testutil.NewAuthority(t)
		addr := testutil.FreeAddr(t)
		c := simple(addr, origin(t, "one"))
		c.Listeners[0].CertFile, c.Listeners[0].KeyFile = authority.Server(t)
		apply(t, dr, c)
		for _, h2 := range []bool{false, true} {
			transport := &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: h2, TLSClientConfig: authority.ClientConfig(t)}
			res, err := (&http.Client{Transport: transport}).Get("https://" + addr + "/")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != 200 || h2 != (res.ProtoMajor == 2) || res.TLS.Version < tls.VersionTLS12 {
				t.Errorf("HTTP/2 %v: %s %s", h2, res.Proto, res.Status)
			}
		}
		// A certificate that cannot be read is found by the test.
		c.Listeners[0].CertFile = "/nowhere/cert.pem"
		rejected(t, dr, t.Context(), c, "test", "/nowhere/cert.pem")
	})
}

func TestVersions(t *testing.T) {
	for text, want := range map[string]string{
		"nginx version: nginx/1.22.1\nconfigure arguments: --with-http_v2_module": "1.22.1",
		"nginx version: openresty/1.25.3.1":                                       "1.25.3",
		"nginx version: nginx/1.18.0":                                             "",
		"usage":                                                                   "",
	} {
		p, err := parseProgram("nginx", text)
		if (err == nil) != (want != "") || err == nil && p.version.String() != want {
			t.Errorf("%q: %v, %v", text, p.version, err)
		}
	}
	if _, err := New(t.Context(), Options{}); err == nil {
		t.Error("no folder is no error")
	}
	if _, err := New(t.Context(), Options{Dir: "/" + strings.Repeat("x", maxDirBytes)}); err == nil {
		t.Error("a long folder is no error")
	}
	if _, err := New(t.Context(), Options{Dir: folder(t), Program: "/nowhere/nginx"}); err == nil {
		t.Error("no program is no error")
	}
	for _, c := range []struct {
		version     version
		drain, keep time.Duration
		none        bool
	}{
		{version{1, 22, 1}, time.Second, time.Second, true}, {version{1, 26, 3}, time.Second, 2 * time.Second, false},
		{version{1, 27, 4}, 0, time.Second, true}, {version{1, 31, 3}, time.Second, time.Second, true},
	} {
		if p := promise(program{version: c.version}, Options{DrainTime: c.drain, KeepAlive: c.keep}); p.LosesNone != c.none || p.Reason == "" {
			t.Errorf("%+v: %+v", c, p)
		}
	}
}
