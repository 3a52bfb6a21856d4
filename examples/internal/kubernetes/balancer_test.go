package kubernetes

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// foundByBalancer puts the controller behind a load balancer. The part of a
// cloud's, which gives the service an address, is played here, with that of the
// node; kube-proxy takes it as it would take any.
func (k *kit) foundByBalancer() {
	k.Helper()
	k.types("cloverctl create system controller lb -t test", "Creating controller service", `Created service "clover-controller-lb"`)
	k.types("cloverctl get visibility", "(through the API server)") // no address yet
	err := k.api.CoreV1().RESTClient().Patch(types.MergePatchType).Namespace(cloverNamespace).Resource("services").Name("clover-controller-lb").SubResource("status").
		Body(fmt.Appendf(nil, `{"status":{"loadBalancer":{"ingress":[{"ip":%q}]}}}`, k.cluster.NodeAddress())).Do(k.Context()).Error()
	k.check(err)
	address := fmt.Sprintf("clover-controller address: https://%s:80", k.cluster.NodeAddress())
	k.eventually(func() (bool, string) {
		a := k.run("cloverctl get visibility")
		return a.code == 0 && strings.Contains(a.all(), address), a.all()
	})
	k.types("cloverctl get services", "clover-controller-lb ", k.cluster.NodeAddress())
	k.types("cloverctl delete system controller lb", `Deleted service "clover-controller-lb"`)
}
