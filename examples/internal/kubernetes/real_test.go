package kubernetes

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opnfv/clover/internal/testutil/images"
)

// TestRealEngines goes through chapters 3.2.4 and 3.2.5 with nginx as load
// balancers and servers, and with Suricata as IDS.
func TestRealEngines(t *testing.T) {
	k := newKit(t)
	suricata := k.loadEngines()
	k.steerFiles("lbv2.yaml", "server.yaml", "idsrule_icmp.yaml")
	k.guideController()
	k.types("cloverctl create system sdc -t test --wait --set sdc.engine=real --set sdc.suricata.image="+suricata, "Image: opnfv/clover-sdc-nginx:test")
	k.nginxBalances()
	k.suricataLooks()
}

// engines is set when the images of the real engines are in the cluster of
// this process, to the name of that with Suricata.
var engines string

// loadEngines puts the images of the real engines into the cluster, and returns
// the name of that with Suricata.
func (k *kit) loadEngines() string {
	k.Helper()
	if engines == "" {
		suricata := images.SuricataSDC(k, repository)
		for _, a := range append(images.Clover(k, repository, "clover-sdc-nginx"), suricata, images.Ping(k, repository)) {
			k.cluster.LoadImage(k, a.File)
		}
		engines = suricata.Ref
	}
	return engines
}

// nginxBalances has an uploaded file served by two servers, to which one
// version of the load balancer changes.
func (k *kit) nginxBalances() {
	k.Helper()
	k.types("cloverctl get lb", "nginx 1.")
	for _, server := range []string{"clover-server4", "clover-server5"} {
		k.upload("http://"+k.nodePort(sampleNamespace, server, 9180)+"/upload", "the file of "+server)
		k.types("cloverctl set server "+server+" -f server.yaml", k.greeting()+"Modified nginx config\n")
		k.deleteNodePorts(server)
	}
	k.serves("http-lb-v2", http.StatusNotFound)
	k.types("cloverctl set lb -f lbv2.yaml", k.greeting()+"Modified nginx config\n")
	k.serves("http-lb-v2", http.StatusOK)
	k.serves("http-lb-v1", http.StatusNotFound)
	k.types("cloverctl undo lb http-lb-v2", "Modified nginx config")
	k.serves("http-lb-v2", http.StatusNotFound)
}

// upload sends a file to a server.
func (k *kit) upload(url, text string) {
	k.Helper()
	k.eventually(func() (bool, string) { // until the port of the node leads there
		req, err := http.NewRequestWithContext(k.Context(), http.MethodPost, url, strings.NewReader(text))
		k.check(err)
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			return false, err.Error()
		}
		k.check(res.Body.Close())
		if res.StatusCode/100 != 2 {
			k.Errorf("upload to %s: %s", url, res.Status)
		}
		return true, ""
	})
}

// serves asks a version of the load balancer for the file: each request gets
// that status.
func (k *kit) serves(version string, status int) {
	k.Helper()
	pod := k.pod(sampleNamespace, "version="+version)
	const requests = 30
	tally := k.sendLoadTo("http://"+pod.Status.PodIP+":9180", "load", "--agent", "curl/8.14.1", "--path", "/clover/testurl/file1.png", "--rate", "60", "--requests", fmt.Sprint(requests))
	if want := map[int]int{status: requests}; !maps.Equal(tally.ByStatus, want) {
		k.Errorf("%s answers %v, want %v", version, tally.ByStatus, want)
	}
}

// suricataLooks has Suricata see a scanner and a ping.
func (k *kit) suricataLooks() {
	k.Helper()
	front, alerts, done := k.frontAndAlerts()
	defer done()
	front += "clover/testurl/file1.png" // nothing at "/" is 403 too
	k.eventually(func() (bool, string) {
		a := k.run("cloverctl get ids")
		return a.code == 0 && strings.Contains(a.out, "Suricata") && strings.Contains(a.out, "running"), a.all()
	})
	k.types("cloverctl get ids", "Suricata", "running")
	k.scans(front)
	client := k.lettingAllIn()
	if len(client) != 1 {
		k.Fatalf("one client was scanning, %v were kept out", client)
	}
	k.event(alerts, client[0], "9000001")

	k.types("cloverctl create idsrules -f idsrule_icmp.yaml", k.greeting()+"Added to local rules\n")
	k.types("cloverctl stop ids", k.greeting()+"Stopped Suricata on pid: ", ", Cleared Suricata logs\n")
	k.types("cloverctl start ids", k.greeting()+"Started Suricata on pid: ")
	k.event(alerts, k.ping(k.pod(sampleNamespace, "app=snort-ids").Status.PodIP), "10000001")
}

// ping sends one from a pod, and returns the pod's address.
func (k *kit) ping(address string) string {
	k.Helper()
	pods := k.api.CoreV1().Pods(sampleNamespace)
	_, err := pods.Create(k.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "ping"},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "ping", Image: image("ping"), Args: []string{address},
				SecurityContext: &corev1.SecurityContext{RunAsUser: new(int64)},
			}},
		},
	}, metav1.CreateOptions{})
	k.check(err)
	var source string
	k.eventually(func() (bool, string) {
		p, err := pods.Get(k.Context(), "ping", metav1.GetOptions{})
		k.check(err)
		if p.Status.Phase == corev1.PodFailed {
			log, _ := pods.GetLogs("ping", &corev1.PodLogOptions{}).DoRaw(k.Context())
			k.Fatalf("the ping has failed: %s", log)
		}
		source = p.Status.PodIP
		return p.Status.Phase == corev1.PodSucceeded, k.podStates(sampleNamespace)
	})
	k.check(pods.Delete(k.Context(), "ping", metav1.DeleteOptions{}))
	return source
}
