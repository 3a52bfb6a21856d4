//go:build unix

package nginx

import (
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer"
)

// TestUploadSocket: nobody but nginx's workers, and root, reaches the socket
// for uploads, which no access list guards.
func TestUploadSocket(t *testing.T) {
	eachProgram(t, func(t *testing.T, path string) {
		dr := running(t, Options{Program: path})
		root, addr := t.TempDir(), testutil.FreeAddr(t)
		apply(t, dr, loadbalancer.Config{
			Listeners: []loadbalancer.Listener{{Address: addr}},
			Sites:     []loadbalancer.Site{{Name: "s", Root: root, UploadPath: "/up"}},
			Routes:    []loadbalancer.Route{{Path: "/", Site: "s"}},
		})
		testutil.Eventually(t, 10*time.Second, func() (bool, string) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/up", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
			if err != nil {
				return false, err.Error()
			}
			res.Body.Close()
			return res.StatusCode == http.StatusCreated, res.Status
		})
		info, err := os.Stat(filepath.Join(dr.options.Dir, uploadSocket))
		if err != nil {
			t.Fatal(err)
		}
		uid, err := workerUser(dr.program, dr.options)
		if err != nil {
			t.Fatal(err)
		}
		if uid < 0 {
			uid = os.Geteuid()
		}
		owner := info.Sys().(*syscall.Stat_t).Uid
		if info.Mode().Perm() != 0o600 || int(owner) != uid {
			t.Errorf("%v of user %d, want 0600 of user %d", info.Mode(), owner, uid)
		}
	})
}

func TestWorkerUser(t *testing.T) {
	if os.Geteuid() != 0 {
		if uid, err := workerUser(program{}, Options{User: "none of this name"}); uid != -1 || err != nil {
			t.Errorf("%d, %v; only root chooses", uid, err)
		}
		return
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	built := " --prefix=/etc/nginx --user=root --group=root --with-cc-opt='-g'"
	for _, test := range []struct{ configure, chosen, want string }{
		{"", "", nobody.Uid}, {built, "", "0"}, {built, "nobody", nobody.Uid},
	} {
		uid, err := workerUser(program{configure: test.configure}, Options{User: test.chosen})
		if err != nil || strconv.Itoa(uid) != test.want {
			t.Errorf("%+v: %d, %v", test, uid, err)
		}
	}
	if _, err := workerUser(program{}, Options{User: "none of this name"}); err == nil {
		t.Error("a user who is not there")
	}
}
