package kubernetes

import (
	"encoding/hex"
	"net/netip"
	"strings"

	"github.com/opnfv/clover/clovisor/target"
)

// Finder finds pods on their node.
type Finder interface {
	// Find returns the interfaces of pods, and which pods it has not found.
	// Pods with a sidecar are looked at from inside instead, those whose UID
	// is in encrypted from inside too. It is not called concurrently.
	Find(pods []Pod, encrypted map[string]bool) (target.Set, error)
}

// The lengths of a container's ID, of a pod's UID, and of that of a pod that
// the kubelet has from a file.
const idLength, uidLength, staticUIDLength = 64, 36, 32

// cgroupNames returns what the cgroups of a process say of the pod and the
// container that it belongs to: the UIDs of pods and the IDs of containers
// that are in /proc/PID/cgroup, whatever runtime and cgroup driver write it.
// What else looks like them is returned too.
func cgroupNames(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		_, path, ok := cutLast(strings.TrimSpace(line), ":/")
		if !ok {
			continue
		}
		for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == ':' }) {
			part = strings.TrimSuffix(strings.TrimSuffix(part, ".scope"), ".slice")
			if i := strings.LastIndex(part, "pod"); i >= 0 {
				uid := part[i+len("pod"):]
				if len(uid) == uidLength || len(uid) == staticUIDLength {
					// The driver of systemd has no dashes in names.
					out = append(out, strings.ReplaceAll(uid, "_", "-"))
				}
			}
			if id := part[max(0, len(part)-idLength):]; len(id) == idLength {
				if _, err := hex.DecodeString(id); err == nil {
					out = append(out, id)
				}
			}
		}
	}
	return out
}

// cutLast is strings.Cut at the last sep.
func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// localAddresses reads the IPv4 addresses of a network namespace from
// /proc/PID/net/fib_trie, and the IPv6 ones from /proc/PID/net/if_inet6.
func localAddresses(fibTrie, ifInet6 string) []netip.Addr {
	var out []netip.Addr
	var last netip.Addr
	for line := range strings.Lines(fibTrie) {
		line = strings.TrimSpace(line)
		if leaf, ok := strings.CutPrefix(line, "|-- "); ok {
			last, _ = netip.ParseAddr(leaf) // not valid: no address
		} else if line == "/32 host LOCAL" && last.IsValid() && !last.IsLoopback() {
			out = append(out, last)
		}
	}
	for line := range strings.Lines(ifInet6) {
		digits, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if raw, err := hex.DecodeString(digits); err == nil {
			if a, ok := netip.AddrFromSlice(raw); ok && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
				out = append(out, a.Unmap())
			}
		}
	}
	return out
}
