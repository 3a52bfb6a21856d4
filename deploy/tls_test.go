package deploy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// held is a cluster that holds what was rendered before.
type held map[string]map[string]any

// apply puts objects into the cluster.
func (h held) apply(objects []*unstructured.Unstructured) {
	for _, u := range objects {
		h[u.GetKind()+"/"+u.GetNamespace()+"/"+u.GetName()] = u.DeepCopy().Object
	}
}

// lookup is a Lookup.
func (h held) lookup(_ context.Context, _, kind, namespace, name string) (map[string]any, error) {
	if o, ok := h[kind+"/"+namespace+"/"+name]; ok {
		return o, nil
	}
	return map[string]any{}, nil
}

// secret returns the data of a secret of Clover's namespace, decoded.
func (h held) secret(t *testing.T, name string) map[string]string {
	t.Helper()
	return h.secretIn(t, DefaultNamespace, name)
}

func (h held) secretIn(t *testing.T, namespace, name string) map[string]string {
	t.Helper()
	data, _, err := unstructured.NestedStringMap(h["Secret/"+namespace+"/"+name], "data")
	if err != nil || len(data) == 0 {
		t.Fatalf("secret %s: %v, %v", name, data, err)
	}
	for k, v := range data {
		text, err := base64.StdEncoding.DecodeString(v)
		if err != nil {
			t.Fatal(err)
		}
		data[k] = string(text)
	}
	return data
}

// TestSecondApplyChangesNothing renders again what the cluster holds.
func TestSecondApplyChangesNothing(t *testing.T) {
	h := held{}
	o := Options{Components: []string{"visibility"}, Lookup: h.lookup}
	first := render(t, o)
	h.apply(first)
	second := render(t, o)
	if len(first) != len(second) {
		t.Fatalf("%d objects, then %d", len(first), len(second))
	}
	for i := range first {
		if !reflect.DeepEqual(first[i], second[i]) {
			t.Errorf("%s %s differs", first[i].GetKind(), first[i].GetName())
		}
	}
}

// TestOneCAForComponentsMadeApart makes the controller first, the collector
// later.
func TestOneCAForComponentsMadeApart(t *testing.T) {
	h := held{}
	for _, component := range []string{"controller", "collector"} {
		h.apply(render(t, Options{Components: []string{component}, Lookup: h.lookup}))
	}
	ca := h.secret(t, "clover-ca")["tls.crt"]
	config, _, err := unstructured.NestedString(h["ConfigMap/clover-system/clover-ca"], "data", "ca.crt")
	if err != nil || config != ca {
		t.Errorf("the ConfigMap has another CA: %v", err)
	}
	roots := h.authority(t, DefaultNamespace, "clover-ca")
	for _, name := range []string{"clover-controller", "clover-collector"} {
		if h.secret(t, name+"-tls")["ca.crt"] != ca {
			t.Errorf("%s has another CA", name)
		}
		h.verify(t, DefaultNamespace, name, roots)
	}
}

// TestCertificatesAreMadeAnew changes what a certificate was made for, and
// lets its time run out.
func TestCertificatesAreMadeAnew(t *testing.T) {
	h := held{}
	o := Options{Components: []string{"visibility"}, Lookup: h.lookup}
	h.apply(render(t, o))
	cert := func(component string) string { return h.secret(t, "clover-"+component+"-tls")["tls.crt"] }
	controller, collector := cert("controller"), cert("collector")

	o.Values = tree{"tls": tree{"hosts": []any{"clover.example.com", "192.0.2.7"}}}
	h.apply(render(t, o))
	if cert("controller") == controller || cert("collector") != collector {
		t.Error("a name more has to change the certificate of the controller and no other")
	}
	pair, err := tls.X509KeyPair([]byte(cert("controller")), []byte(h.secret(t, "clover-controller-tls")["tls.key"]))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"clover.example.com", "192.0.2.7"} {
		if err := pair.Leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}

	controller = cert("controller")
	annotations := (&unstructured.Unstructured{Object: h["Secret/clover-system/clover-controller-tls"]}).GetAnnotations()
	renew, err := strconv.ParseInt(annotations["clover.opnfv.org/renew-after"], 10, 64)
	if left := pair.Leaf.NotAfter.Sub(time.Unix(renew, 0)); err != nil || left < 270*24*time.Hour || left > 280*24*time.Hour {
		t.Errorf("renewed %s before the end, want a third of 825 days; %v", left, err)
	}
	annotations["clover.opnfv.org/renew-after"] = fmt.Sprint(time.Now().Add(-time.Hour).Unix())
	u := &unstructured.Unstructured{Object: h["Secret/clover-system/clover-controller-tls"]}
	u.SetAnnotations(annotations)
	h.apply(render(t, o))
	if cert("controller") == controller || cert("collector") != collector {
		t.Error("the certificate whose time has run out, and no other, has to be made anew")
	}

	controller = cert("controller")
	delete(h, "Secret/clover-system/clover-ca")
	h.apply(render(t, o))
	if cert("controller") == controller || cert("collector") == collector {
		t.Error("a new CA has to sign both certificates")
	}
}

// TestTheSampleIsSignedFor makes the sample with the CA of Clover's own
// namespace, and with one of its own where there is none yet.
func TestTheSampleIsSignedFor(t *testing.T) {
	sample := Options{Components: []string{"sdc"}, Namespace: "default", Values: tree{"sdc": tree{"namespace": "default"}}}
	h := held{}
	sample.Lookup = h.lookup
	h.apply(render(t, sample))
	h.verify(t, "default", "proxy-access-control", h.authority(t, "default", "sdc-ca"))
	first := h["Secret/default/snort-ids-tls"]
	h.apply(render(t, sample))
	if !reflect.DeepEqual(first, h["Secret/default/snort-ids-tls"]) {
		t.Error("a second apply has changed a certificate")
	}

	h.apply(render(t, Options{Components: []string{"controller"}, Lookup: h.lookup}))
	before := len(h)
	h.apply(render(t, sample))
	ca := h.authority(t, DefaultNamespace, "clover-ca")
	h.verify(t, "default", "proxy-access-control", ca)
	h.verify(t, "default", "clover-server5", ca)
	h.verify(t, DefaultNamespace, "clover-controller", ca)
	if len(h) != before || h["Secret/default/clover-ca"] != nil {
		t.Error("the key of the CA was copied to the sample")
	}
	for _, u := range render(t, Options{Components: []string{"sdc"}, Values: tree{"sdc": tree{"istio": tree{"enabled": true}}}}) {
		if u.GetKind() == "Secret" {
			t.Errorf("in a mesh, which encrypts by itself, there is the secret %s", u.GetName())
		}
	}
}

// TestKeysOfLoadTests makes JMeter's master before there is a CA of Clover and
// after; the key by which master and slaves know each other stays.
func TestKeysOfLoadTests(t *testing.T) {
	h := held{}
	validation := Options{Components: []string{"validation"}, Namespace: "default", Lookup: h.lookup}
	h.apply(render(t, validation))
	h.verify(t, "default", "clover-jmeter-master", h.authority(t, "default", "clover-jmeter-ca"))
	rmi := h.secretIn(t, "default", "clover-jmeter-rmi")
	pair, err := tls.X509KeyPair([]byte(rmi["tls.crt"]), []byte(rmi["tls.key"]))
	if err != nil || pair.Leaf.CheckSignature(pair.Leaf.SignatureAlgorithm, pair.Leaf.RawTBSCertificate, pair.Leaf.Signature) != nil {
		t.Errorf("the key of RMI is not signed by itself: %v", err)
	}

	h.apply(render(t, Options{Components: []string{"controller"}, Lookup: h.lookup}))
	h.apply(render(t, validation))
	h.verify(t, "default", "clover-jmeter-master", h.authority(t, DefaultNamespace, "clover-ca"))
	if !maps.Equal(rmi, h.secretIn(t, "default", "clover-jmeter-rmi")) {
		t.Error("a second apply has changed the key of RMI")
	}
}

// authority returns the pool of a CA.
func (h held) authority(t *testing.T, namespace, name string) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(h.secretIn(t, namespace, name)["tls.crt"])) {
		t.Fatalf("no CA in %s/%s", namespace, name)
	}
	return pool
}

// verify holds that a service has a certificate by which it serves and asks.
func (h held) verify(t *testing.T, namespace, name string, roots *x509.CertPool) {
	t.Helper()
	data := h.secretIn(t, namespace, name+"-tls")
	pair, err := tls.X509KeyPair([]byte(data["tls.crt"]), []byte(data["tls.key"]))
	if err != nil {
		t.Fatal(err)
	}
	if pair.Leaf.Subject.CommonName != name {
		t.Errorf("common name %s, want %s", pair.Leaf.Subject.CommonName, name)
	}
	for _, host := range []string{name, name + "." + namespace, name + "." + namespace + ".svc", "localhost", "127.0.0.1"} {
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, KeyUsages: []x509.ExtKeyUsage{usage}})
			if err != nil {
				t.Errorf("%s as %s: %v", name, host, err)
			}
		}
	}
}
