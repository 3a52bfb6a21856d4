package nginx

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/nginx/conf"
)

// quoteRegexp makes a text match only itself.
func quoteRegexp(text string) string { return regexp.QuoteMeta(text) }

// access tells who a client is, as $clover_client, and whether it is let in.
func access(a loadbalancer.Access) []conf.Directive {
	var list []conf.Directive
	for _, p := range a.TrustedProxies {
		list = append(list, d("set_real_ip_from", p.String()))
	}
	if len(list) > 0 {
		list = append(list, d("real_ip_header", "X-Forwarded-For"), d("real_ip_recursive", "on"))
	}
	list = append(list, client(a.TrustedHops))
	if len(a.Deny) > 0 {
		list = append(list, networks("$clover_denied", a.Deny))
	}
	if len(a.Allow) > 0 {
		list = append(list, networks("$clover_allowed", a.Allow))
	}
	return list
}

// client is who connects, or the entry of X-Forwarded-For that trusted hops
// name; it is empty if that is no address.
func client(hops int) conf.Directive {
	if hops == 0 {
		return b("map", words("$remote_addr", "$clover_client"), d("default", "$remote_addr"))
	}
	before := fmt.Sprintf("(?:,[^,]*){%d}$", hops-1)
	return b("map", words("$http_x_forwarded_for", "$clover_client"),
		d("default", "$remote_addr"),
		d("", "$remote_addr"),
		d(`~(?:^|,)\s*([0-9.]+)(?::[0-9]+)?\s*`+before, "$1"),
		d(`~(?:^|,)\s*\[([0-9a-fA-F:.]+)\](?::[0-9]+)?\s*`+before, "$1"),
		d(`~(?:^|,)\s*([0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*)\s*`+before, "$1"),
		d(fmt.Sprintf(`~^(?:[^,]*,){%d}`, hops-1), ""),
	)
}

// networks is "1" for the clients in the list, else "0".
func networks(variable string, list []netip.Prefix) conf.Directive {
	entries := []conf.Directive{d("default", "0")}
	for _, p := range slices.CompactFunc(slices.SortedFunc(slices.Values(list), netip.Prefix.Compare),
		func(a, b netip.Prefix) bool { return a == b }) {
		entries = append(entries, d(p.String(), "1"))
	}
	return b("geo", words("$clover_client", variable), entries...)
}

// refuse keeps out who is not let in.
func refuse(a loadbalancer.Access) []conf.Directive {
	var list []conf.Directive
	if a.TrustedHops > 0 && len(a.Allow)+len(a.Deny) > 0 {
		list = append(list, b("if", words("($clover_client", "=", "", ")"), d("return", "403")))
	}
	if len(a.Deny) > 0 {
		list = append(list, b("if", words("($clover_denied)"), d("return", "403")))
	}
	if len(a.Allow) > 0 {
		list = append(list, b("if", words("($clover_allowed", "=", "0)"), d("return", "403")))
	}
	return list
}
