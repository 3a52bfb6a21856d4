package kernel

import (
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestFirstPriority(t *testing.T) {
	program := func(priority, protocol uint16) netlink.Filter {
		return &netlink.BpfFilter{FilterAttrs: netlink.FilterAttrs{Priority: priority, Protocol: protocol}}
	}
	other := func(priority uint16) netlink.Filter {
		return &netlink.U32{FilterAttrs: netlink.FilterAttrs{Priority: priority, Protocol: unix.ETH_P_ALL}}
	}
	for name, c := range map[string]struct {
		filters []netlink.Filter
		want    uint16
	}{
		"none":                 {nil, 1},
		"a program":            {[]netlink.Filter{program(1, unix.ETH_P_ALL)}, 1},
		"of one protocol":      {[]netlink.Filter{program(1, unix.ETH_P_IP)}, 2},
		"of another kind":      {[]netlink.Filter{other(1), program(2, unix.ETH_P_ALL)}, 2},
		"several":              {[]netlink.Filter{other(1), program(2, unix.ETH_P_IP), other(3)}, 4},
		"later ones leave it":  {[]netlink.Filter{other(2), other(49152)}, 1},
		"two of one, then one": {[]netlink.Filter{other(1), other(1), program(1, unix.ETH_P_ALL)}, 2},
	} {
		if got := firstPriority(c.filters); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
