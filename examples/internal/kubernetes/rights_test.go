package kubernetes

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rights are rights by service account: NAMESPACE:NAME → "VERB GROUP/RESOURCE".
type rights map[string]map[string]bool

func (r rights) add(account, verb, group, resource string) {
	if r[account] == nil {
		r[account] = map[string]bool{}
	}
	r[account][verb+" "+group+"/"+resource] = true
}

// guideReader asks as one who may only read.
func (k *kit) guideReader() {
	k.Helper()
	token, err := k.api.CoreV1().ServiceAccounts(cloverNamespace).CreateToken(k.Context(), "clover-reader", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	k.check(err)
	k.check(os.WriteFile(filepath.Join(k.home, "reader"), []byte(token.Status.Token), 0o600))
	for _, question := range []string{"visibility status", "lb", "ids", "blocklist"} {
		k.types("cloverctl get "+question+" --token-file reader", k.greeting())
	}
	k.ends("cloverctl set lb -f lbv2.yaml --token-file reader", 1, "clover-reader", "update", "loadbalancers")
	k.ends("cloverctl stop ids --token-file reader", 1, "clover-reader", "update", "ids")
	k.ends("cloverctl delete blocklist 192.0.2.7 --token-file reader", 1, "clover-reader", "delete", "ids")
	k.ends("cloverctl clear visibility --token-file reader", 1, "clover-reader", "delete", "visibility")
}

// guideDelivery asks for delivery, which wants a Spinnaker that is not there.
// Whether one may ask comes first.
func (k *kit) guideDelivery() {
	k.Helper()
	k.write("docker.yml", "name: registry\naddress: https://registry.example.com\n")
	for _, line := range []string{
		"get provider docker-registry", "create provider docker-registry -f docker.yml", "delete provider docker-registry -n registry",
		"get pipeline -a demo", "start pipeline deliver -a demo", "delete pipeline deliver -a demo",
	} {
		k.asks(line + " --timeout 3s")
	}
}

// guideLoadTests asks for load tests, which want a master that is not there.
// Whether one may ask comes first.
func (k *kit) guideLoadTests() {
	k.Helper()
	k.write("plan.yaml", "url_list: [{name: url1, url: \"http://proxy-access-control.default:9180\"}]\n")
	for _, line := range []string{"get testplan", "get testresult", "create testplan -f plan.yaml", "start testplan", "stop testplan"} {
		k.asks(line + " --timeout 3s")
	}
}

// asks types a line that one may and cannot, and that those who only read may
// not unless it begins with get.
func (k *kit) asks(line string) {
	k.Helper()
	a := k.run("cloverctl " + line)
	k.Logf("$ cloverctl %s\n%s", line, a.all())
	if a.code == 0 || strings.Contains(a.all(), "not allowed") {
		k.Errorf("cloverctl %s: exit code %d, want that it may and cannot:\n%s", line, a.code, a.all())
	}
	asReader := k.run("cloverctl " + line + " --token-file reader")
	if mayNot := strings.Contains(asReader.all(), "not allowed"); mayNot == strings.HasPrefix(line, "get ") {
		k.Errorf("cloverctl %s as a reader: not allowed: %t\n%s", line, mayNot, asReader.all())
	}
}

// granted reads what the roles of the cluster give to Clover's service
// accounts. An account without a role has an entry as well.
func (k *kit) granted() rights {
	k.Helper()
	accounts, err := k.api.CoreV1().ServiceAccounts("").List(k.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=cloverctl"})
	k.check(err)
	r := rights{}
	for _, a := range accounts.Items {
		r[a.Namespace+":"+a.Name] = map[string]bool{}
	}
	clusterWide, err := k.api.RbacV1().ClusterRoleBindings().List(k.Context(), metav1.ListOptions{})
	k.check(err)
	for _, b := range clusterWide.Items {
		k.grant(r, b.RoleRef, "", b.Subjects)
	}
	namespaced, err := k.api.RbacV1().RoleBindings("").List(k.Context(), metav1.ListOptions{})
	k.check(err)
	for _, b := range namespaced.Items {
		k.grant(r, b.RoleRef, b.Namespace, b.Subjects)
	}
	return r
}

// grant adds a role's rules to those of its subjects that r has.
func (k *kit) grant(r rights, role rbacv1.RoleRef, namespace string, subjects []rbacv1.Subject) {
	k.Helper()
	for _, s := range subjects {
		account := s.Namespace + ":" + s.Name
		if s.Kind != rbacv1.ServiceAccountKind || r[account] == nil {
			continue
		}
		for _, rule := range k.rules(role, namespace) {
			for _, verb := range rule.Verbs {
				for _, group := range rule.APIGroups {
					for _, resource := range rule.Resources {
						r.add(account, verb, group, resource)
					}
				}
				for _, url := range rule.NonResourceURLs {
					r.add(account, verb, "", url)
				}
			}
		}
	}
}

func (k *kit) rules(role rbacv1.RoleRef, namespace string) []rbacv1.PolicyRule {
	k.Helper()
	if role.Kind == "Role" {
		found, err := k.api.RbacV1().Roles(namespace).Get(k.Context(), role.Name, metav1.GetOptions{})
		k.check(err)
		return found.Rules
	}
	found, err := k.api.RbacV1().ClusterRoles().Get(k.Context(), role.Name, metav1.GetOptions{})
	k.check(err)
	return found.Rules
}

// event is what is read of a line of the audit log.
type event struct {
	Verb, RequestURI string
	User             struct{ Username string }
	ObjectRef        struct{ APIGroup, Resource, Subresource string }
	ResponseStatus   struct{ Code int }
	ResponseObject   json.RawMessage

	RequestReceivedTimestamp metav1.MicroTime
}

// account returns the service account of a user's name, else "".
func account(user string) string {
	if name, ok := strings.CutPrefix(user, "system:serviceaccount:"); ok {
		return name
	}
	return ""
}

// used reads from the audit log which rights were made use of: with the API
// server, and with the controller, which asks the API server for them. What
// was refused by the API server is a fault.
func (k *kit) used(since time.Time, ours rights) rights {
	k.Helper()
	file, err := os.Open(k.cluster.AuditLog(k))
	k.check(err)
	defer file.Close()
	r := rights{}
	for name := range ours {
		r[name] = map[string]bool{}
	}
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var e event
		k.check(json.Unmarshal(scanner.Bytes(), &e))
		name := account(e.User.Username)
		if e.RequestReceivedTimestamp.Time.Before(since) || ours[name] == nil {
			continue
		}
		if e.ResponseStatus.Code == 403 {
			k.Errorf("%s was refused: %s %s", name, e.Verb, e.RequestURI)
		}
		resource := e.ObjectRef.Resource
		if e.ObjectRef.Subresource != "" {
			resource += "/" + e.ObjectRef.Subresource
		}
		r.add(name, e.Verb, e.ObjectRef.APIGroup, resource)
		if resource == "subjectaccessreviews" {
			var review authorizationv1.SubjectAccessReview
			k.check(json.Unmarshal(e.ResponseObject, &review))
			asked := review.Spec.ResourceAttributes
			if by := account(review.Spec.User); by != "" && asked != nil && review.Status.Allowed {
				r.add(by, asked.Verb, asked.Group, asked.Resource)
			}
		}
	}
	k.check(scanner.Err())
	return r
}

// holdsRights compares the rights granted with those that a full run has
// used: none is missing and none is unused.
func (k *kit) holdsRights(since time.Time, granted rights) {
	k.Helper()
	used := k.used(since, granted)
	for _, name := range slices.Sorted(maps.Keys(granted)) {
		for _, right := range slices.Sorted(maps.Keys(granted[name])) {
			if !used[name][right] {
				k.Errorf("%s may %s and has not done it", name, right)
			}
		}
		for _, right := range slices.Sorted(maps.Keys(used[name])) {
			if !granted[name][right] {
				k.Errorf("%s has done %s, which Clover does not grant", name, right)
			}
		}
		k.Logf("%s: %v", name, slices.Sorted(maps.Keys(used[name])))
	}
}
