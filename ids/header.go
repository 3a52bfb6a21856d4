package ids

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Addresses is the text of a header's addresses, such as
// [$HOME_NET,!10.0.0.0/8]. Parse decodes it.
type Addresses string

// Ports is the text of a header's ports, such as [80,8000:8100,!8080]. Parse
// decodes it.
type Ports string

// AnyAddress and AnyPort match all.
const (
	AnyAddress Addresses = "any"
	AnyPort    Ports     = "any"
)

// Address is one address expression: one of Any, Variable, Prefix, From and
// To, or List.
type Address struct {
	Not      bool
	Any      bool
	Variable string       // without the $
	Prefix   netip.Prefix // also for one address
	From, To netip.Addr   // a range, both ends in it
	List     []Address
}

// Port is one port expression: one of Any, Variable, a range, or List.
type Port struct {
	Not      bool
	Any      bool
	Variable string // without the $
	// From and To are the ends of the range, both in it; the same for one
	// port.
	From, To uint16
	List     []Port
}

// Parse decodes the addresses. An empty text is any.
func (a Addresses) Parse() (Address, error) {
	e, err := parseExpr(string(a))
	if err != nil {
		return Address{}, fmt.Errorf("addresses %q: %w", string(a), err)
	}
	out, err := addressOf(e)
	if err != nil {
		return Address{}, fmt.Errorf("addresses %q: %w", string(a), err)
	}
	return out, nil
}

// Parse decodes the ports. An empty text is any.
func (p Ports) Parse() (Port, error) {
	e, err := parseExpr(string(p))
	if err != nil {
		return Port{}, fmt.Errorf("ports %q: %w", string(p), err)
	}
	out, err := portOf(e)
	if err != nil {
		return Port{}, fmt.Errorf("ports %q: %w", string(p), err)
	}
	return out, nil
}

// String returns the expression as in a rule.
func (a Address) String() string {
	s := "any"
	switch {
	case a.Variable != "":
		s = "$" + a.Variable
	case a.List != nil:
		s = joinList(a.List)
	case a.From.IsValid():
		s = a.From.String() + "-" + a.To.String()
	case a.Prefix.IsValid() && a.Prefix.IsSingleIP():
		s = a.Prefix.Addr().String()
	case a.Prefix.IsValid():
		s = a.Prefix.String()
	}
	return negated(a.Not, s)
}

// String returns the expression as in a rule.
func (p Port) String() string {
	s := "any"
	switch {
	case p.Any:
	case p.Variable != "":
		s = "$" + p.Variable
	case p.List != nil:
		s = joinList(p.List)
	case p.From == p.To:
		s = strconv.Itoa(int(p.From))
	default:
		s = ""
		if p.From != 0 {
			s = strconv.Itoa(int(p.From))
		}
		s += ":"
		if p.To != 65535 {
			s += strconv.Itoa(int(p.To))
		}
	}
	return negated(p.Not, s)
}

func negated(not bool, s string) string {
	if not {
		return "!" + s
	}
	return s
}

func joinList[T fmt.Stringer](list []T) string {
	parts := make([]string, len(list))
	for i := range list {
		parts[i] = list[i].String()
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// expr is a negatable word or list.
type expr struct {
	not  bool
	word string
	list []expr
}

// maxDepth bounds how deep lists nest.
const maxDepth = 16

func parseExpr(s string) (expr, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return expr{word: "any"}, nil
	}
	e, rest, err := readExpr(s, 0)
	if err == nil && strings.HasPrefix(rest, ",") {
		// A list without brackets, which some engines accept.
		e, rest, err = readExpr("["+s+"]", 0)
	}
	if err == nil && rest != "" {
		err = fmt.Errorf("text %q after the end", rest)
	}
	return e, err
}

// readExpr reads one expression and returns the text after it.
func readExpr(s string, depth int) (expr, string, error) {
	var e expr
	s = strings.TrimSpace(s)
	for strings.HasPrefix(s, "!") {
		e.not = !e.not
		s = strings.TrimSpace(s[1:])
	}
	if !strings.HasPrefix(s, "[") {
		n := strings.IndexAny(s, ",]")
		if n < 0 {
			n = len(s)
		}
		e.word = strings.TrimSpace(s[:n])
		if e.word == "" {
			return e, s, fmt.Errorf("an element is empty")
		}
		return e, s[n:], nil
	}
	if depth == maxDepth {
		return e, s, fmt.Errorf("lists nest deeper than %d", maxDepth)
	}
	s = s[1:]
	for {
		item, rest, err := readExpr(s, depth+1)
		if err != nil {
			return e, rest, err
		}
		e.list = append(e.list, item)
		rest = strings.TrimSpace(rest)
		switch {
		case strings.HasPrefix(rest, ","):
			s = rest[1:]
		case strings.HasPrefix(rest, "]"):
			return e, strings.TrimSpace(rest[1:]), nil
		default:
			return e, rest, fmt.Errorf("list is not closed")
		}
	}
}

func addressOf(e expr) (Address, error) {
	a := Address{Not: e.not}
	for _, item := range e.list {
		child, err := addressOf(item)
		if err != nil {
			return a, err
		}
		a.List = append(a.List, child)
	}
	var err error
	switch from, to, isRange := strings.Cut(e.word, "-"); {
	case e.list != nil:
	case strings.EqualFold(e.word, "any"):
		a.Any = true
	case strings.HasPrefix(e.word, "$"):
		a.Variable, err = variableName(e.word)
	case isRange:
		if a.From, err = netip.ParseAddr(strings.TrimSpace(from)); err == nil {
			a.To, err = netip.ParseAddr(strings.TrimSpace(to))
		}
		if err == nil && a.To.Less(a.From) {
			err = fmt.Errorf("range %q ends before it begins", e.word)
		}
	default:
		a.Prefix, err = parsePrefix(e.word)
	}
	return a, err
}

// parsePrefix reads an address, a prefix, or an address with a netmask.
func parsePrefix(s string) (netip.Prefix, error) {
	addr, mask, found := strings.Cut(s, "/")
	ip, err := netip.ParseAddr(strings.TrimSpace(addr))
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no address: want an address, a prefix, $VARIABLE or any", s)
	}
	if !found {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	bits, err := strconv.Atoi(mask)
	if m, maskErr := netip.ParseAddr(mask); maskErr == nil && m.Is4() && ip.Is4() {
		bits, err = maskBits(m.As4())
	}
	if err != nil || bits < 0 || bits > ip.BitLen() {
		return netip.Prefix{}, fmt.Errorf("%q has no prefix length from 0 to %d", s, ip.BitLen())
	}
	return netip.PrefixFrom(ip, bits), nil
}

func maskBits(m [4]byte) (int, error) {
	v := uint32(m[0])<<24 | uint32(m[1])<<16 | uint32(m[2])<<8 | uint32(m[3])
	bits := 0
	for v&(1<<31) != 0 {
		bits++
		v <<= 1
	}
	if v != 0 {
		return 0, fmt.Errorf("netmask has holes")
	}
	return bits, nil
}

func portOf(e expr) (Port, error) {
	p := Port{Not: e.not}
	for _, item := range e.list {
		child, err := portOf(item)
		if err != nil {
			return p, err
		}
		p.List = append(p.List, child)
	}
	var err error
	switch from, to, isRange := strings.Cut(e.word, ":"); {
	case e.list != nil:
	case strings.EqualFold(e.word, "any"):
		p.Any = true
	case strings.HasPrefix(e.word, "$"):
		p.Variable, err = variableName(e.word)
	case isRange:
		p.To = 65535
		if from = strings.TrimSpace(from); from != "" {
			p.From, err = portNumber(from)
		}
		if to = strings.TrimSpace(to); to != "" && err == nil {
			p.To, err = portNumber(to)
		}
		if err == nil && p.To < p.From {
			err = fmt.Errorf("range %q ends before it begins", e.word)
		}
	default:
		p.From, err = portNumber(e.word)
		p.To = p.From
	}
	return p, err
}

func portNumber(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no port: want 0 to 65535, a range FROM:TO, $VARIABLE or any", s)
	}
	return uint16(n), nil
}

func variableName(s string) (string, error) {
	name := strings.TrimPrefix(s, "$")
	if name == "" || strings.IndexFunc(name, func(c rune) bool { return !isNameRune(c) }) >= 0 {
		return "", fmt.Errorf("%q is no variable: want $ and letters, digits or _", s)
	}
	return name, nil
}

func isNameRune(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
}
