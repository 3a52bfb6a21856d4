package deploy

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil/cluster"
)

// rights are what accounts may do or have done, as "create tokenreviews".
type rights map[string]map[string]bool

func (r rights) add(account, verb, resource string) {
	if r[account] == nil {
		r[account] = map[string]bool{}
	}
	r[account][verb+" "+resource] = true
}

// usedRights reads from an audit log what the service accounts of a namespace
// have asked of the API server, and what of it was refused.
func usedRights(t *testing.T, log io.Reader, namespace string) (used, refused rights) {
	t.Helper()
	used, refused = rights{}, rights{}
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Verb           string
			User           struct{ Username string }
			ObjectRef      struct{ Resource, Subresource string }
			RequestURI     string
			ResponseStatus struct{ Code int }
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			continue // the line that is being written
		}
		account, ok := strings.CutPrefix(event.User.Username, "system:serviceaccount:"+namespace+":")
		if !ok {
			continue
		}
		resource := event.RequestURI
		if event.ObjectRef.Resource != "" {
			resource = strings.TrimSuffix(event.ObjectRef.Resource+"/"+event.ObjectRef.Subresource, "/")
		}
		used.add(account, event.Verb, resource)
		if event.ResponseStatus.Code == http.StatusForbidden || event.ResponseStatus.Code == http.StatusUnauthorized {
			refused.add(account, event.Verb, resource)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return used, refused
}

// grantedRights are the rights that the chart gives in the cluster; those on
// Clover's own resources are asked for by the controller and used there.
func grantedRights(t *testing.T) rights {
	t.Helper()
	granted := rights{}
	for _, u := range everything(t) {
		if kind := u.GetKind(); kind != "ClusterRole" && kind != "Role" {
			continue
		}
		var role struct {
			Rules []struct{ APIGroups, Resources, Verbs []string }
		}
		data, err := json.Marshal(u.Object)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			if slices.Equal(rule.APIGroups, []string{"clover.opnfv.org"}) {
				continue
			}
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					granted.add(u.GetName(), verb, resource)
				}
			}
		}
	}
	return granted
}

// checkRights compares what an install has asked of the API server with what
// the chart grants: nothing is missing and nothing is unused.
func checkRights(t *testing.T, c *cluster.Cluster, namespace string) {
	t.Helper()
	log, err := os.Open(c.AuditLog(t))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	used, refused := usedRights(t, log, namespace)
	if len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
	if granted := grantedRights(t); !maps.EqualFunc(used, granted, maps.Equal[map[string]bool, map[string]bool]) {
		t.Errorf("used %v, granted %v", used, granted)
	}
}

// TestUsedRights reads a log of a few lines.
func TestUsedRights(t *testing.T) {
	const log = `{"verb":"create","user":{"username":"system:serviceaccount:a:clover-controller"},"objectRef":{"resource":"tokenreviews"},"responseStatus":{"code":201}}
{"verb":"create","user":{"username":"system:serviceaccount:b:clover-controller"},"objectRef":{"resource":"pods"},"responseStatus":{"code":201}}
{"verb":"get","user":{"username":"system:serviceaccount:a:redis"},"requestURI":"/version","responseStatus":{"code":403}}
{"verb":"create","user":{"username":"system:serviceaccount:a:clover-controller"},"objectRef":{"resource":"pods","subresource":"exec"},"responseStatus":{"code":101}}
{"verb":"cre`
	used, refused := usedRights(t, strings.NewReader(log), "a")
	want := rights{"clover-controller": {"create tokenreviews": true, "create pods/exec": true}, "redis": {"get /version": true}}
	if !maps.EqualFunc(used, want, maps.Equal[map[string]bool, map[string]bool]) {
		t.Errorf("%v, want %v", used, want)
	}
	if len(refused) != 1 || !refused["redis"]["get /version"] {
		t.Errorf("refused %v", refused)
	}
}
