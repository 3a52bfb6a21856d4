package kernel

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Check tries out on the running machine what a capture needs and what it
// makes use of. It leaves nothing behind and needs the rights that [New]
// needs; without them it says which are missing.
func Check() Report {
	r := Report{Hook: Clsact, Buffer: Perf}
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		r.Release = unix.ByteSliceToString(u.Release[:])
	}
	checkCapabilities(&r)
	checkMemory(&r)
	checkTCX(&r)
	checkClsact(&r)
	checkRing(&r)
	checkProgram(&r)
	checkNamespaces(&r)
	checkJIT(&r)
	checkBTF(&r)
	return r
}

// capabilities are those that a capture needs, by their numbers.
var capabilities = []struct {
	name   string
	number uint
}{{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN}, {"CAP_BPF", unix.CAP_BPF}, {"CAP_PERFMON", unix.CAP_PERFMON}}

func checkCapabilities(r *Report) {
	effective, err := effectiveCapabilities()
	if err != nil {
		r.add("capabilities", false, Missing, err.Error(), "mount /proc")
		return
	}
	has := func(n uint) bool { return effective&(1<<n) != 0 }
	var lacking []string
	for _, c := range capabilities {
		// CAP_SYS_ADMIN stands for those that Linux 5.8 split off from it.
		if !has(c.number) && (c.number == unix.CAP_NET_ADMIN || !has(unix.CAP_SYS_ADMIN)) {
			lacking = append(lacking, c.name)
		}
	}
	r.add("capabilities", len(lacking) == 0, Missing, fmt.Sprintf("lacking: %s", orNone(lacking)),
		"run as root, or with these capabilities (CAP_SYS_ADMIN instead of CAP_BPF and CAP_PERFMON before Linux 5.8)")
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func effectiveCapabilities() (uint64, error) {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		}
	}
	return 0, errors.New("/proc/thread-self/status has no CapEff")
}

func checkMemory(r *Report) {
	err := rlimit.RemoveMemlock()
	detail := "the kernel accounts it to the control group, or the limit is lifted"
	if err != nil {
		detail = err.Error()
	}
	r.add("locked memory", err == nil, Missing, detail, `raise the limit ("ulimit -l unlimited"), or add CAP_SYS_RESOURCE`)
}

func checkTCX(r *Report) {
	if haveTCX() {
		r.Hook = TCX
	}
	r.add("TCX", r.Hook == TCX, Degraded, "programs end with the process, without it clsact is used",
		"Linux 6.6 or newer; without it, a killed process leaves filters that its next start removes")
}

// checkClsact adds one in a network namespace made for that.
func checkClsact(r *Report) {
	err := inNewNetNS(func() error {
		l, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.QdiscAdd(clsact(l.Attrs().Index))
	})
	otherwise, detail := Missing, "filters can be attached"
	if r.Hook == TCX {
		otherwise = Degraded // not needed
	}
	if err != nil {
		detail = err.Error()
	}
	r.add("clsact", err == nil, otherwise, detail,
		"load the kernel modules sch_ingress and cls_bpf, or use a kernel with CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_BPF")
}

func checkRing(r *Report) {
	if haveRing() {
		r.Buffer = Ring
	}
	r.add("ring buffer", r.Buffer == Ring, Degraded, "one buffer for all processors, without it one for each", "Linux 5.8 or newer")
}

// checkProgram loads what New loads.
func checkProgram(r *Report) {
	o := Options{Hook: r.Hook, Buffer: r.Buffer}
	o.defaults()
	obj, err := load(&o)
	detail, remedy := "the kernel accepts it", "report it with this message and the kernel's version"
	if err == nil {
		err = obj.Close()
	}
	if err != nil {
		detail = err.Error()
	}
	switch {
	case errors.Is(err, unix.EPERM):
		remedy = "see capabilities; a kernel in lockdown mode \"confidentiality\" refuses too"
		if mode, err := os.ReadFile("/sys/kernel/security/lockdown"); err == nil {
			detail += "; lockdown is " + strings.TrimSpace(string(mode))
		}
	case errors.Is(err, ebpf.ErrNotSupported):
		remedy = "Linux 4.15 or newer with CONFIG_BPF_SYSCALL"
	}
	r.add("program", err == nil, Missing, detail, remedy)
}

// checkNamespaces enters the namespace that it is in already.
func checkNamespaces(r *Report) {
	err := inNetNS(netNS{path: ownNetNS}, func() error { return nil })
	detail := "the namespaces of others can be entered, by their paths in /proc or /run/netns"
	if err != nil {
		detail = err.Error()
	}
	r.add("network namespaces", err == nil, Degraded, detail,
		"add CAP_SYS_ADMIN, and hostPID to see the processes of others; without it, only interfaces of this namespace can be captured")
}

func checkJIT(r *Report) {
	const path = "/proc/sys/net/core/bpf_jit_enable"
	value, err := os.ReadFile(path)
	on := err == nil && strings.TrimSpace(string(value)) != "0"
	detail := "programs run as machine code"
	if !on {
		detail = "programs are interpreted, several times slower"
	}
	r.add("JIT compiler", on, Degraded, detail, "sysctl net.core.bpf_jit_enable=1")
}

func checkBTF(r *Report) {
	_, err := os.Stat("/sys/kernel/btf/vmlinux")
	r.add("BTF", err == nil, Degraded, "type information of the kernel; a capture does not need it",
		"nothing to do; bpftool shows less without CONFIG_DEBUG_INFO_BTF")
}
