package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func utoa(n uint16) string { return strconv.FormatUint(uint64(n), 10) }

var (
	dnsLabel   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	labelName  = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
	dnsName    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
	podPrefix  = regexp.MustCompile(`^[a-z0-9][-a-z0-9.]{0,252}$`)
	hostName   = regexp.MustCompile(`^[A-Za-z0-9_]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9_])?$`)
	protocol   = regexp.MustCompile(`^[a-z][-a-z0-9._]{0,31}$`)
	sizeFormat = regexp.MustCompile(`^([0-9]{1,15})(B|KiB|MiB|GiB)?$`)
)

// ParseSelector reads "namespace[:label-key:label-value]".
func ParseSelector(text string) (Selector, error) {
	const want = "want NAMESPACE or NAMESPACE:LABEL-KEY:LABEL-VALUE, e.g. my-ns:app:web"
	parts := strings.Split(text, ":")
	if len(parts) != 1 && len(parts) != 3 {
		return Selector{}, fmt.Errorf("%q has %d parts; %s", clip(text), len(parts), want)
	}
	s := Selector{Namespace: parts[0]}
	if !dnsLabel.MatchString(s.Namespace) {
		return Selector{}, fmt.Errorf("%q is no name of a namespace; %s", clip(s.Namespace), want)
	}
	if len(parts) == 1 {
		return s, nil
	}
	s.Key, s.Value = parts[1], parts[2]
	name := s.Key
	if prefix, rest, ok := strings.Cut(s.Key, "/"); ok {
		name = rest
		if !dnsName.MatchString(prefix) {
			name = ""
		}
	}
	if !labelName.MatchString(name) {
		return Selector{}, fmt.Errorf("%q is no key of a label; %s", clip(s.Key), want)
	}
	if s.Value != "" && !labelName.MatchString(s.Value) {
		return Selector{}, fmt.Errorf("%q is no value of a label; %s", clip(s.Value), want)
	}
	return s, nil
}

// ParseEgressMatch reads "IP:PORT[:POD_PREFIX]". The address may be 0 for
// any, or a prefix such as 10.0.0.0/8; IPv6 stands in brackets.
func ParseEgressMatch(text string) (EgressMatch, error) {
	const want = "want IP:PORT or IP:PORT:POD-PREFIX, with 0 for any IP, e.g. 10.0.0.1:3456, 0:3456:proxy or [fd00::1]:80"
	address, rest, ok := cutAddress(text)
	if !ok {
		return EgressMatch{}, fmt.Errorf("%q; %s", clip(text), want)
	}
	var m EgressMatch
	switch destination, err := parsePrefix(address); {
	case address == "0":
		m.Destination = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	case err != nil:
		return EgressMatch{}, fmt.Errorf("%q is no IP address; %s", clip(address), want)
	default:
		m.Destination = destination
	}
	port, prefix, hasPrefix := strings.Cut(rest, ":")
	var err error
	if m.Port, err = parsePort(port); err != nil {
		return EgressMatch{}, fmt.Errorf("%w; %s", err, want)
	}
	if m.PodPrefix = prefix; hasPrefix && !podPrefix.MatchString(prefix) {
		return EgressMatch{}, fmt.Errorf("%q does not begin the name of a pod; %s", clip(prefix), want)
	}
	return m, nil
}

// cutAddress splits "ADDRESS:REST", where an IPv6 address is in brackets.
func cutAddress(text string) (address, rest string, ok bool) {
	if inner, found := strings.CutPrefix(text, "["); found {
		return strings.Cut(inner, "]:")
	}
	return strings.Cut(text, ":")
}

func parsePrefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no port, which is a number from 1 to 65535", clip(text))
	}
	return uint16(n), nil
}

// checkEndpoint accepts "host:port" and the URLs of an OTLP receiver.
func checkEndpoint(text string) error {
	const want = "want HOST:PORT, e.g. jaeger-collector.istio-system:4317, or a URL that begins with grpc://, grpcs://, http:// or https://"
	address := text
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "":
			return fmt.Errorf("%q; %s", clip(hideUser(text)), want)
		case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "grpc" && u.Scheme != "grpcs":
			return fmt.Errorf("%q has scheme %q; %s", clip(hideUser(text)), clip(u.Scheme), want)
		}
		if address = u.Host; u.Port() == "" && strings.HasPrefix(u.Scheme, "http") {
			address += ":80"
		}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q; %s", clip(hideUser(text)), want)
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostName.MatchString(host) {
		return fmt.Errorf("%q is no host; %s", clip(hideUser(host)), want)
	}
	if _, err := parsePort(port); err != nil {
		return fmt.Errorf("%w; %s", err, want)
	}
	return nil
}

// hideUser hides what may be a password: messages are logged.
func hideUser(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	scheme, _, ok := strings.Cut(text[:at], "://")
	if ok {
		scheme += "://"
	} else {
		scheme = ""
	}
	return scheme + "REDACTED" + text[at:]
}

// checkProtocol accepts names of protocols as ports have them.
func checkProtocol(text string) error {
	if !protocol.MatchString(text) {
		return fmt.Errorf("%q is no protocol; want a name of small letters, digits, '-', '.' and '_', e.g. http or memcached", clip(text))
	}
	return nil
}

// checkPlugin accepts files of WebAssembly modules. What is in the file is
// looked at when it is loaded.
func checkPlugin(path string) error {
	switch {
	case strings.HasSuffix(path, ".so"):
		return fmt.Errorf("%q is a native plug-in, which is not supported; "+
			"build the parser as WebAssembly (GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o NAME.wasm) and name that file", clip(path))
	case path == "" || strings.ContainsRune(path, 0) || len(path) > 4096:
		return fmt.Errorf("%q is no file; want the path of a .wasm file, e.g. /proto/memcached.wasm", clip(path))
	}
	return nil
}

func parseSize(text string) (int64, error) {
	m := sizeFormat.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q is no size; want bytes, or a number with KiB, MiB or GiB", clip(text))
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	shift := map[string]int{"KiB": 10, "MiB": 20, "GiB": 30}[m[2]]
	if err != nil || n == 0 || n > 1<<40>>shift {
		return 0, fmt.Errorf("%q is out of range; want 1 byte to 1024GiB", clip(text))
	}
	return n << shift, nil
}

func parseCount(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1e9 {
		return 0, fmt.Errorf("%q; want a whole number from 1 to 1000000000", clip(text))
	}
	return n, nil
}

func parseTimeout(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Millisecond || d > time.Minute {
		return 0, fmt.Errorf("%q; want a duration from 1ms to 1m, e.g. 50ms", clip(text))
	}
	return d, nil
}
