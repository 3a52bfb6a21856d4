package kernel

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// madeQdisc is appended to a filter's name if its queueing discipline is of
// our making, so that whoever removes the filter knows.
const madeQdisc = "+qdisc"

const allProtocols = uint16(unix.ETH_P_ALL)

// filterHook is one filter.
type filterHook struct {
	name    string
	ifindex int
	parent  uint32 // netlink.HANDLE_MIN_INGRESS or HANDLE_MIN_EGRESS
	program *ebpf.Program
}

// add adds the filter, and the queueing discipline if there is none.
func (h *filterHook) add() error {
	kind, err := discipline(h.ifindex)
	if err != nil {
		return err
	}
	name := h.name
	switch kind {
	case "clsact":
		own, _, err := filters(h.name, h.ifindex)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(own, func(f *netlink.BpfFilter) bool { return f.Name == h.name+madeQdisc }) {
			name += madeQdisc
		}
	case "":
		// Both in one message, so that not even SIGKILL leaves a discipline
		// of which nobody knows whose it is.
		answers, err := send(newClsact(h.ifindex), h.request(name+madeQdisc, 1))
		if err != nil {
			return err
		}
		if !errors.Is(answers[0], unix.EEXIST) {
			return errors.Join(answers...)
		}
		// Somebody else made it in between.
		if _, err := removeFilters(h.name, h.ifindex); err != nil {
			return err
		}
	default:
		return fmt.Errorf("the interface has a queueing discipline %q in the place of clsact: replace it by clsact, which takes the same filters", kind)
	}
	all, err := netlink.FilterList(device(h.ifindex), h.parent)
	if err != nil {
		return fmt.Errorf("list filters: %w", err)
	}
	errs, err := send(h.request(name, firstPriority(all)))
	return errors.Join(append(errs, err)...)
}

// discipline returns the kind of what is at the place of clsact, "": nothing.
func discipline(ifindex int) (string, error) {
	qdiscs, err := netlink.QdiscList(device(ifindex))
	if err != nil {
		return "", fmt.Errorf("list queueing disciplines: %w", err)
	}
	for _, q := range qdiscs {
		if q.Attrs().Parent == netlink.HANDLE_CLSACT {
			return q.Type(), nil
		}
	}
	return "", nil
}

// filters lists the filters of that name on both ways of an interface, and
// counts those of others.
func filters(name string, ifindex int) (own []*netlink.BpfFilter, others int, err error) {
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		all, err := netlink.FilterList(device(ifindex), parent)
		if err != nil {
			return nil, 0, fmt.Errorf("list filters: %w", err)
		}
		for _, f := range all {
			if b, ok := f.(*netlink.BpfFilter); ok && (b.Name == name || b.Name == name+madeQdisc) {
				own = append(own, b)
			} else if f.Attrs().Handle != 0 {
				others++
			}
		}
	}
	return own, others, nil
}

// firstPriority finds the first place in the row where our filter can be: a
// filter before it may take packets away. Within a priority, which all filters
// share that are programs, the newest comes first.
func firstPriority(filters []netlink.Filter) uint16 {
	priority := uint16(1)
	for slices.ContainsFunc(filters, func(f netlink.Filter) bool {
		a := f.Attrs()
		return a.Priority == priority && (f.Type() != "bpf" || a.Protocol != allProtocols)
	}) {
		priority++
	}
	return priority
}

// removeFilters removes the filters of that name from an interface, and the
// queueing discipline if we made it and nobody else uses it. It returns how
// many it removed.
func removeFilters(name string, ifindex int) (int, error) {
	own, others, err := filters(name, ifindex)
	if err != nil || len(own) == 0 {
		return 0, err
	}
	made := slices.ContainsFunc(own, func(f *netlink.BpfFilter) bool { return f.Name == name+madeQdisc })
	if made && others == 0 {
		// It takes its filters with it: one step, so nothing can be left.
		return len(own), netlink.QdiscDel(clsact(ifindex))
	}
	var errs []error
	for _, f := range own {
		errs = append(errs, netlink.FilterDel(f))
	}
	return len(own), errors.Join(errs...)
}

// device is an interface by its number, as netlink wants it.
func device(ifindex int) netlink.Link {
	return &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: ifindex}}
}

func clsact(ifindex int) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
}

func newClsact(ifindex int) *nl.NetlinkRequest {
	a := clsact(ifindex).QdiscAttrs
	req := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	req.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(ifindex), Handle: a.Handle, Parent: a.Parent})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("clsact")))
	return req
}

// request is the message that adds the filter.
func (h *filterHook) request(name string, priority uint16) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	req.AddData(&nl.TcMsg{
		Family: nl.FAMILY_ALL, Ifindex: int32(h.ifindex), Parent: h.parent,
		Info: netlink.MakeHandle(priority, nl.Swap16(allProtocols)),
	})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("bpf")))
	options := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	options.AddRtAttr(nl.TCA_BPF_FD, nl.Uint32Attr(uint32(h.program.FD())))
	options.AddRtAttr(nl.TCA_BPF_NAME, nl.ZeroTerminated(name))
	options.AddRtAttr(nl.TCA_BPF_FLAGS, nl.Uint32Attr(nl.TCA_BPF_FLAG_ACT_DIRECT))
	req.AddData(options)
	return req
}

// send sends requests in one message, which the kernel works through before
// it looks at signals, and returns its answer to each.
func send(requests ...*nl.NetlinkRequest) ([]error, error) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(s) }()
	var message []byte
	for _, r := range requests {
		message = append(message, r.Serialize()...) // attributes are padded, so it is aligned
	}
	if err := unix.Sendto(s, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	answers := make([]error, len(requests))
	buf := make([]byte, 1<<16)
	for seen := 0; seen < len(requests); {
		n, _, err := unix.Recvfrom(s, buf, 0)
		if err != nil {
			return nil, fmt.Errorf("netlink: %w", err)
		}
		for b := buf[:n]; len(b) >= unix.NLMSG_HDRLEN+4; {
			h := (*unix.NlMsghdr)(unsafe.Pointer(&b[0]))
			code := *(*int32)(unsafe.Pointer(&b[unix.NLMSG_HDRLEN]))
			for i, r := range requests {
				if h.Seq == r.Seq && h.Type == unix.NLMSG_ERROR {
					seen++
					if code != 0 {
						answers[i] = fmt.Errorf("netlink: %w", unix.Errno(-code))
					}
				}
			}
			b = b[min(len(b), (int(h.Len)+3)&^3):]
		}
	}
	return answers, nil
}
