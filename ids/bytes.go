package ids

import (
	"fmt"
	"strconv"
	"strings"
)

// ByteTest compares a number in the payload: byte_test.
type ByteTest struct {
	Bytes    string // how many to read
	Not      bool
	Operator string // <, >, =, &, ^, <=, >=
	Value    string // a number or a variable
	Offset   string
	Flags    []string // relative, little, string, hex, bitmask 0x0f, …
}

// Option encodes the test.
func (t ByteTest) Option() Option {
	return byteOption("byte_test", []string{t.Bytes, negated(t.Not, t.Operator), t.Value, t.Offset}, t.Flags)
}

// ByteJump moves by a number in the payload: byte_jump.
type ByteJump struct {
	Bytes  string
	Offset string
	Flags  []string // relative, align, multiplier 2, post_offset 4, …
}

// Option encodes the jump.
func (j ByteJump) Option() Option {
	return byteOption("byte_jump", []string{j.Bytes, j.Offset}, j.Flags)
}

// ByteExtract reads a number of the payload into a variable: byte_extract.
type ByteExtract struct {
	Bytes    string
	Offset   string
	Variable string
	Flags    []string
}

// Option encodes the reading.
func (e ByteExtract) Option() Option {
	return byteOption("byte_extract", []string{e.Bytes, e.Offset, e.Variable}, e.Flags)
}

// ByteMath calculates with a number of the payload: byte_math. Its fields
// are named and in any order.
type ByteMath struct {
	Bytes    string
	Offset   string
	Operator string // +, -, *, /, <<, >>
	Value    string // rvalue: a number or a variable
	Result   string // the variable
	Flags    []string
}

// Option encodes the calculation.
func (m ByteMath) Option() Option {
	return byteOption("byte_math", []string{
		"bytes " + m.Bytes, "offset " + m.Offset, "oper " + m.Operator,
		"rvalue " + m.Value, "result " + m.Result,
	}, m.Flags)
}

func byteOption(name string, fields, flags []string) Option {
	return Option{Name: name, Value: strings.Join(append(fields, flags...), ",")}
}

func decodeBytes(name, v string) (Typed, error) {
	p := splitTrim(v, ",")
	need := map[string]int{"byte_test": 4, "byte_jump": 2, "byte_extract": 3, "byte_math": 5}[name]
	if len(p) < need {
		return nil, fmt.Errorf("%.60q has %d parts: want at least %d", v, len(p), need)
	}
	switch name {
	case "byte_test":
		op, not := strings.CutPrefix(p[1], "!")
		if op = strings.TrimSpace(op); op == "" {
			op, not = "=", true
			if p[1] != "!" {
				return nil, fmt.Errorf("operator is missing")
			}
		}
		return ByteTest{p[0], not, op, p[2], p[3], p[4:]}, nil
	case "byte_jump":
		return ByteJump{p[0], p[1], p[2:]}, nil
	case "byte_extract":
		return ByteExtract{p[0], p[1], p[2], p[3:]}, nil
	}
	return decodeByteMath(p)
}

func decodeByteMath(parts []string) (Typed, error) {
	var m ByteMath
	fields := map[string]*string{
		"bytes": &m.Bytes, "offset": &m.Offset, "oper": &m.Operator, "rvalue": &m.Value, "result": &m.Result,
	}
	for _, part := range parts {
		key, value := cutSpace(part)
		if f := fields[strings.ToLower(key)]; f != nil {
			*f = value
			continue
		}
		m.Flags = append(m.Flags, part)
	}
	for _, key := range []string{"bytes", "offset", "oper", "rvalue", "result"} {
		if *fields[key] == "" {
			return nil, fmt.Errorf("%s is missing", key)
		}
	}
	return m, nil
}

// Range is an option that compares a number: dsize, ttl, itype, urilen, ….
type Range struct {
	Name string
	// Operator is empty or =, !, <, >, <=, >= with To unused; <> or <=> or -
	// for what is between From and To.
	Operator string
	From, To uint64
	Flags    []string // what follows after commas
}

// Option encodes the comparison.
func (r Range) Option() Option {
	from, to := strconv.FormatUint(r.From, 10), strconv.FormatUint(r.To, 10)
	v := r.Operator + from
	if r.between() {
		v = from + r.Operator + to
	}
	if len(r.Flags) > 0 {
		v += "," + strings.Join(r.Flags, ",")
	}
	return Option{Name: r.Name, Value: v}
}

func (r Range) between() bool { return r.Operator == "<>" || r.Operator == "<=>" || r.Operator == "-" }

// DecodeRange reads the value of an option that compares a number.
func DecodeRange(o Option) (Range, error) {
	parts := splitTrim(o.Value, ",")
	r := Range{Name: o.Name, Flags: parts[1:]}
	v := strings.Trim(parts[0], `"`)
	for _, op := range []string{"<=>", "<>", "-"} {
		from, to, ok := strings.Cut(v, op)
		if !ok || strings.TrimSpace(from) == "" || strings.TrimSpace(to) == "" {
			continue
		}
		r.Operator = op
		var err error
		if r.From, err = rangeNumber(from); err == nil {
			r.To, err = rangeNumber(to)
		}
		return r, err
	}
	for _, op := range []string{"<=", ">=", "<", ">", "!=", "!", "="} {
		if rest, ok := strings.CutPrefix(v, op); ok {
			r.Operator, v = op, rest
			break
		}
	}
	var err error
	r.From, err = rangeNumber(v)
	return r, err
}

func rangeNumber(s string) (uint64, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 0, 64)
	if err != nil {
		return 0, fmt.Errorf("%.20q is no number", s)
	}
	return n, nil
}
