package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opnfv/clover/examples/cloverctl/internal/command"
)

// madeBy selects what cloverctl has made.
const madeBy = "app.kubernetes.io/managed-by=cloverctl"

// versions change when somebody changes what cloverctl has made, by kind and
// name.
func (k *kit) versions() map[string]string {
	k.Helper()
	all := map[string]string{}
	o := metav1.ListOptions{LabelSelector: madeBy}
	note := func(kind string, m metav1.ObjectMeta) { all[kind+"/"+m.Name] = m.ResourceVersion }
	// Their versions change with their status, also after they are ready.
	workload := func(kind string, m metav1.ObjectMeta) {
		all[kind+"/"+m.Name] = fmt.Sprint(m.UID, m.Generation, m.Labels, m.Annotations)
	}
	secrets, err := k.api.CoreV1().Secrets(k.namespace).List(k.Context(), o)
	k.check(err)
	for _, x := range secrets.Items {
		note("secret", x.ObjectMeta)
	}
	services, err := k.api.CoreV1().Services(k.namespace).List(k.Context(), o)
	k.check(err)
	for _, x := range services.Items {
		note("service", x.ObjectMeta)
	}
	maps, err := k.api.CoreV1().ConfigMaps(k.namespace).List(k.Context(), o)
	k.check(err)
	for _, x := range maps.Items {
		note("configmap", x.ObjectMeta)
	}
	deployments, err := k.api.AppsV1().Deployments(k.namespace).List(k.Context(), o)
	k.check(err)
	for _, x := range deployments.Items {
		workload("deployment", x.ObjectMeta)
	}
	sets, err := k.api.AppsV1().StatefulSets(k.namespace).List(k.Context(), o)
	k.check(err)
	for _, x := range sets.Items {
		workload("statefulset", x.ObjectMeta)
	}
	roles, err := k.api.RbacV1().ClusterRoles().List(k.Context(), metav1.ListOptions{LabelSelector: madeBy + ",clover.opnfv.org/namespace=" + k.namespace})
	k.check(err)
	for _, x := range roles.Items {
		note("clusterrole", x.ObjectMeta)
	}
	return all
}

// TestGuide goes the way of the guide: install, ask, look, remove.
func TestGuide(t *testing.T) {
	k := newKit(t)
	k.load()
	start := time.Now()
	k.must("create system visibility --wait -t "+testTag, "Creating visibility services\nCreated "+k.namespace+" namespace\n",
		"Created statefulset \"clover-collector\".\nImage: opnfv/clover-collector:test\n",
		"Created deployment \"clover-controller\".\nImage: opnfv/clover-controller:test\n",
		"Created service \"clover-controller\"\n", "Ready: deployment \"clover-controller\" (1 of 1 pods)")
	t.Logf("create system visibility --wait took %v", time.Since(start).Round(100*time.Millisecond))

	t.Run("a second run changes nothing", func(t *testing.T) { k.in(t).testAgain() })
	t.Run("what is there is shown", func(t *testing.T) { k.in(t).testShown() })
	t.Run("the controller is found", func(t *testing.T) { k.in(t).testFound() })
	t.Run("visibility is controlled", func(t *testing.T) { k.in(t).testVisibility() })
	t.Run("a report holds no secret", func(t *testing.T) { k.in(t).testSysdump() })
	t.Run("data is kept or goes", func(t *testing.T) { k.in(t).testDelete() })
}

func (k *kit) testAgain() {
	before := k.versions()
	out := k.must("create system visibility --wait -t " + testTag)
	if strings.Contains(out, "Created ") || strings.Contains(out, "Updated ") || !strings.Contains(out, "Unchanged deployment") {
		k.Errorf("it has changed something:\n%s", out)
	}
	if after := k.versions(); !maps.Equal(before, after) || len(after) < 10 {
		k.Errorf("before %v\nafter  %v", before, after)
	}
	if out := k.must("diff system visibility -t " + testTag); out != "" {
		k.Errorf("there is a difference:\n%s", out)
	}
	k.expect("diff system visibility -t other", 1, "-        image: opnfv/clover-controller:test", "+        image: opnfv/clover-controller:other")
	k.must("create system visibility --dry-run=server -t other", "Updated deployment \"clover-controller\". (dry run)")
}

func (k *kit) testShown() {
	k.must("get services", "NAME ", "TYPE ", "CLUSTER-IP", "clover-controller", "80/TCP")
	k.must("get services -o name", "service/clover-collector")
	k.must("status", "deployment/clover-controller", "1/1", "statefulset/clover-collector")
	k.must("status --wait -o json", `"done": true`)
	k.must("logs controller --tail 1000", "clover-controller is ready")
	k.must("logs collector --since 10m", "clover-collector")
	k.expect("logs datastore", 1, "no pod of datastore is in namespace")
	k.must("version", "cloverctl ", "kubernetes v1.", "controller ", "collector test (image opnfv/clover-collector:test)")
	out := k.expect("check", 1, "✓ API server: ", "✓ namespace "+k.namespace, "✓ deployment clover-controller: 1 of 1 pods are ready",
		"✓ statefulset clover-collector", "✓ permissions to use Clover", "✓ controller: https://clover-controller."+k.namespace+".svc answers",
		"✗ Jaeger answers: none is configured\n    → Name Jaeger with 'cloverctl start visibility -f", "✗ spans arrive: ", "✗ Envoy sends spans: ")
	if strings.Count(out, "✗") != 3 {
		k.Errorf("want three faults:\n%s", out)
	}
	var words bytes.Buffer
	command.Run(k.Context(), []string{"__complete", "logs", "--kubeconfig", k.cluster.Kubeconfig(), "-n", k.namespace, ""},
		command.Streams{In: strings.NewReader(""), Out: &words, Err: io.Discard})
	if !strings.HasPrefix(words.String(), "collector\ncontroller\n") {
		k.Errorf("logs is completed by %q", words.String())
	}
}

func (k *kit) testFound() {
	k.must("get visibility status", "clover-controller address: https://clover-controller."+k.namespace+".svc (through the API server)\n", "collecting")
	k.must("create system controller nodeport --set controller.service.nodePort=0", "Creating controller service\nCreated service \"clover-controller-nodeport\"\n")
	service, err := k.api.CoreV1().Services(k.namespace).Get(k.Context(), "clover-controller-nodeport", metav1.GetOptions{})
	k.check(err)
	address := fmt.Sprintf("clover-controller address: https://%s:%d\n", k.cluster.NodeAddress(), service.Spec.Ports[0].NodePort)
	k.eventually(30*time.Second, func() (bool, string) { // until kube-proxy knows it
		_, out, errs := k.run("get visibility status")
		return strings.Contains(errs, address), out + errs
	})
	file := filepath.Join(k.home, ".cloverctl.yaml")
	k.check(os.WriteFile(file, []byte("ControllerIP: "+k.cluster.NodeAddress()+"\n"), 0o600))
	k.must("get visibility status", "Using config file: "+file+"\n"+address)
	k.check(os.Remove(file))
	k.must("create system controller nodeport --set controller.service.nodePort=0", "Unchanged service")
	k.must("delete system controller nodeport", "Deleting controller service\nDeleted service \"clover-controller-nodeport\"\n")
	k.must("delete system controller nodeport", "Nothing to delete: there is no controller nodeport in namespace "+k.namespace)
	k.must("get visibility status", "through the API server")
}

func (k *kit) testVisibility() {
	set := filepath.Join(k.home, "set_visibility.yaml")
	k.check(os.WriteFile(set, []byte("services: [{name: proxy_access_control}]\n"), 0o600))
	k.must("init visibility", "Added visibility schemas in embedded")
	k.must("start visibility", "Started collector on pid: ")
	k.must("set visibility -f "+set, "Updated visibility config")
	k.replaceCollector()
	k.eventually(30*time.Second, func() (bool, string) {
		code, out, errs := k.run("get visibility --conf services")
		return code == 0 && strings.Contains(out, "proxy_access_control"), out + errs
	})
	k.must("clear visibility", "Cleared visibility data")
}

// replaceCollector deletes the collector's pod and waits for the next one. Until
// the cluster has noticed, status may say that the old one is ready.
func (k *kit) replaceCollector() {
	k.Helper()
	pods := k.api.CoreV1().Pods(k.namespace)
	old, err := pods.Get(k.Context(), "clover-collector-0", metav1.GetOptions{})
	k.check(err)
	k.check(pods.Delete(k.Context(), old.Name, metav1.DeleteOptions{}))
	k.eventually(2*time.Minute, func() (bool, string) {
		code, out, errs := k.run("status --wait --wait-timeout 1m")
		now, err := pods.Get(k.Context(), old.Name, metav1.GetOptions{})
		return code == 0 && err == nil && now.UID != old.UID, out + errs
	})
}

func (k *kit) testSysdump() {
	file := filepath.Join(k.home, "report.tar.gz")
	k.must("sysdump -f "+file, "Wrote "+file)
	raw, err := os.ReadFile(file)
	k.check(err)
	files := untar(k.T, raw)
	names := slices.Sorted(maps.Keys(files))
	for _, want := range []string{
		"report/versions.txt", "report/check.json", "report/errors.txt", "report/controller/status.json", "report/controller/ledger.json",
		"report/namespaces/" + k.namespace + "/deployments/clover-controller.yaml", "report/namespaces/" + k.namespace + "/secrets/clover-ca.yaml",
		"report/logs/" + k.namespace + "/clover-collector-0/clover-collector.log",
	} {
		if _, ok := files[want]; !ok {
			k.Errorf("%s is not in the report: %v", want, names)
		}
	}
	if faults := files["report/errors.txt"]; faults != "" {
		k.Errorf("faults: %s", faults)
	}
	secrets, err := k.api.CoreV1().Secrets(k.namespace).List(k.Context(), metav1.ListOptions{})
	k.check(err)
	for name, text := range files {
		for _, s := range secrets.Items {
			for key, value := range s.Data {
				if key == "tls.key" && (strings.Contains(text, base64.StdEncoding.EncodeToString(value)) || strings.Contains(text, string(value))) {
					k.Errorf("%s holds %s of secret %s", name, key, s.Name)
				}
			}
		}
		if found := regexp.MustCompile(`eyJ[\w-]{20,}`).FindString(text); found != "" {
			k.Errorf("%s holds a token: %s", name, found)
		}
	}
	var checks []map[string]any
	k.check(json.Unmarshal([]byte(files["report/check.json"]), &checks))
}

func untar(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(text)
	}
}

func (k *kit) testDelete() {
	k.must("delete system visibility --dry-run=server", "Deleted deployment \"clover-controller\". (dry run)")
	k.must("delete system visibility --keep-data", "Deleted statefulset \"clover-collector\".", "Kept persistentvolumeclaim")
	claims, err := k.api.CoreV1().PersistentVolumeClaims(k.namespace).List(k.Context(), metav1.ListOptions{})
	k.check(err)
	if len(claims.Items) != 1 || claims.Items[0].DeletionTimestamp != nil || !k.namespaceIsThere() {
		k.Fatalf("%d volumes are left, want one", len(claims.Items))
	}
	k.must("create system visibility --wait -t "+testTag, "Unchanged "+k.namespace+" namespace", "Created statefulset")
	k.must("get visibility --conf services", "proxy_access_control")
	k.must("delete system visibility", "Deleting visibility services\n", "Deleted persistentvolumeclaim", "Deleted "+k.namespace+" namespace")
	if k.namespaceIsThere() {
		k.Error("the namespace is left")
	}
	if left := k.versions(); len(left) > 0 {
		k.Errorf("left: %v", left)
	}
	k.eventually(time.Minute, func() (bool, string) { // the cluster notices that a claim is gone
		volumes, err := k.api.CoreV1().PersistentVolumes().List(k.Context(), metav1.ListOptions{})
		k.check(err)
		for _, v := range volumes.Items {
			if v.Spec.ClaimRef != nil && v.Spec.ClaimRef.Namespace == k.namespace && v.Status.Phase == corev1.VolumeBound {
				return false, fmt.Sprintf("volume %s is left", v.Name)
			}
		}
		return true, ""
	})
	k.must("delete system visibility", "Nothing to delete")
}

// TestWhatIsNotClovers holds that removal keeps to what cloverctl has made.
func TestWhatIsNotClovers(t *testing.T) {
	k := newKit(t)
	k.must("create system controller")
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "somebodys"}}
	_, err := k.api.CoreV1().ConfigMaps(k.namespace).Create(k.Context(), foreign, metav1.CreateOptions{})
	k.check(err)
	k.must("delete system controller", "Namespace "+k.namespace+" stays, something lives in it: configmaps somebodys")
	if left := k.versions(); len(left) > 0 || !k.namespaceIsThere() {
		t.Errorf("left: %v", left)
	}
	k.must("create system controller", "Unchanged "+k.namespace+" namespace")
	k.check(k.api.CoreV1().ConfigMaps(k.namespace).Delete(k.Context(), "somebodys", metav1.DeleteOptions{}))
	k.must("delete system controller", "Deleted "+k.namespace+" namespace")

	own := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: k.namespace}}
	_, err = k.api.CoreV1().Namespaces().Create(k.Context(), own, metav1.CreateOptions{})
	k.check(err)
	k.must("create system controller", "Kept "+k.namespace+" namespace")
	k.must("delete system controller")
	if !k.namespaceIsThere() {
		t.Error("a namespace that cloverctl has not made is gone")
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "clover-controller"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	_, err = k.api.CoreV1().Services(k.namespace).Create(k.Context(), service, metav1.CreateOptions{})
	k.check(err)
	k.expect("create system controller", 1, `service "clover-controller" in namespace `+k.namespace+" is there already, made not by cloverctl", "--force-conflicts")
}
