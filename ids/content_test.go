package ids

import (
	"bytes"
	"reflect"
	"testing"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		dialect Dialect
		value   string
		want    string
		not     bool
	}{
		{Suricata, `"abc"`, "abc", false},
		{Suricata, `!"abc"`, "abc", true},
		{Suricata, `! "abc"`, "abc", true},
		{Suricata, `"a|0D 0a|b|00|"`, "a\r\nb\x00", false},
		{Suricata, `"|0D0A|"`, "\r\n", false},
		{Suricata, `"\"\;\\\:\|"`, `";\:|`, false},
		{Suricata, `"a"b"`, `a"b`, false},
		{Suricata, `"x|3a 3B|"`, "x:;", false},
		{Suricata, `""`, "", false},
		{Suricata, `"|0|"`, "", false},
		{Suricata, `"|0D"`, "", false},
		{Suricata, `"|zz|"`, "", false},
		{Suricata, `abc`, "", false},
		{Suricata, `"abc`, "", false},
		{Suricata, `"abc\"`, "", false},
		{Suricata, `"abc" x`, "", false},
		{Snort2, `"a\tb"`, "atb", false},
		{Snort3, `"a\tb\x41"`, "a\tbA", false},
		{Snort3, `"a|5C|b"`, `a\b`, false},
	} {
		got, err := DecodePattern(c.value, c.dialect)
		if (err != nil) != (c.want == "") || err == nil && (string(got.Pattern) != c.want || got.Not != c.not) {
			t.Errorf("%s %s: %q %v, %v", c.dialect, c.value, got.Pattern, got.Not, err)
		}
	}
}

func TestEveryByteOfAPatternComesBack(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, d := range dialects {
		r := &Rule{Dialect: d, Header: mustRule(t, "alert tcp any any -> any any (sid:1;)", Suricata).Header}
		r.Options = []Option{Content{Not: true, Pattern: all}.Option(), {Name: "sid", Value: "1"}}
		text, err := r.Text()
		if err != nil {
			t.Fatal(err)
		}
		m := mustRule(t, text, d).Matches()
		if got := m[0].Pattern.(Content); !bytes.Equal(got.Pattern, all) || !got.Not {
			t.Errorf("%s: %q", d, got.Pattern)
		}
	}
}

func TestModifiersOfSnort3(t *testing.T) {
	c, err := DecodePattern(`"ab,c", nocase , depth 5,offset  x,fast_pattern`, Snort3)
	want := []Modifier{{"nocase", ""}, {"depth", "5"}, {"offset", "x"}, {"fast_pattern", ""}}
	if err != nil || string(c.Pattern) != "ab,c" || len(c.Modifiers) != 4 {
		t.Fatalf("%+v, %v", c, err)
	}
	for i, m := range c.Modifiers {
		if m != want[i] {
			t.Errorf("%+v, want %+v", m, want[i])
		}
	}
	if _, err := DecodePattern(`"a",,`, Snort3); err == nil {
		t.Error("a modifier without name")
	}
	if got := c.Option().Value; got != `"ab,c",nocase,depth 5,offset x,fast_pattern` {
		t.Error(got)
	}
}

func TestExpressions(t *testing.T) {
	for _, c := range []struct {
		value string
		want  PCRE
		print string
	}{
		{`"/a/"`, PCRE{Expr: "a"}, `"/a/"`},
		{`!"/a\/b/Ui"`, PCRE{Not: true, Expr: `a\/b`, Flags: "Ui"}, `!"/a\/b/Ui"`},
		{`"m#a/b#i"`, PCRE{Delimiter: '#', Expr: "a/b", Flags: "i"}, `"m#a/b#i"`},
		{`"m{a}s"`, PCRE{Delimiter: '{', Expr: "a", Flags: "s"}, `"m{a}s"`},
		{`/a/i`, PCRE{Expr: "a", Flags: "i"}, `"/a/i"`},
		{`"/a"b\;/R"`, PCRE{Expr: `a"b\;`, Flags: "R"}, `"/a\x22b\x3b/R"`},
	} {
		p, err := DecodePCRE(c.value)
		if err != nil || p != c.want || p.Option().Value != c.print {
			t.Errorf("%s: %+v, %s, %v", c.value, p, p.Option(), err)
		}
	}
	for _, bad := range []string{"", `"a"`, `a`, `/a/"`, `"/a"`, `"//"x`, `"m"`, `"/"`, `"`} {
		if p, err := DecodePCRE(bad); err == nil {
			t.Errorf("%s: %+v", bad, p)
		}
	}
	if got := (PCRE{Expr: `a\`}).Option().Value; got != `"/a\\/"` {
		t.Error(got)
	}
}

func TestTypedValues(t *testing.T) {
	for _, c := range []struct {
		o    Option
		want Typed
	}{
		{Option{Name: "flow", Value: "established, to_server"}, Flow{[]string{"established", "to_server"}}},
		{Option{Name: "flowbits", Value: "isset,a|b"}, Flowbits{Command: "isset", Bits: []string{"a", "b"}, Join: "|"}},
		{Option{Name: "flowbits", Value: "noalert"}, Flowbits{Command: "noalert"}},
		{Option{Name: "flowbits", Value: "set,a,group"}, Flowbits{Command: "set", Bits: []string{"a"}, Group: "group"}},
		{Option{Name: "metadata", Value: "a b, a c d,e"}, Metadata{[]Pair{{"a", "b"}, {"a", "c d"}, {"e", ""}}}},
		{Option{Name: "reference", Value: "url, example.org/a"}, Reference{"url", "example.org/a"}},
		{Option{Name: "isdataat", Value: "!10,relative"}, IsDataAt{true, "10", []string{"relative"}}},
		{Option{Name: "threshold", Value: "type both, track by_src, count 2, seconds 3"}, Threshold{Name: "threshold", Type: "both", Track: "by_src", Count: 2, Seconds: 3}},
		{Option{Name: "detection_filter", Value: "track by_dst,count 2,seconds 3"}, Threshold{Name: "detection_filter", Track: "by_dst", Count: 2, Seconds: 3}},
		{Option{Name: "byte_test", Value: "4,!=,x,0,relative"}, ByteTest{"4", true, "=", "x", "0", []string{"relative"}}},
		{Option{Name: "byte_test", Value: "4,!,1,0"}, ByteTest{"4", true, "=", "1", "0", []string{}}},
		{Option{Name: "byte_jump", Value: "4,0,relative,multiplier 2"}, ByteJump{"4", "0", []string{"relative", "multiplier 2"}}},
		{Option{Name: "byte_extract", Value: "2,0,v,relative"}, ByteExtract{"2", "0", "v", []string{"relative"}}},
		{Option{Name: "byte_math", Value: "result r, oper <<, bytes 4,offset 0,rvalue v, endian big"}, ByteMath{"4", "0", "<<", "v", "r", []string{"endian big"}}},
		{Option{Name: "dsize", Value: "300<>400"}, Range{"dsize", "<>", 300, 400, []string{}}},
		{Option{Name: "urilen", Value: ">5,raw"}, Range{"urilen", ">", 5, 0, []string{"raw"}}},
		{Option{Name: "sid", Value: "7"}, Number{"sid", 7}},
		{Option{Name: "nocase"}, Flag{"nocase"}},
		{Option{Name: "made_up", Value: "x"}, Raw{"made_up", "x"}},
	} {
		got, err := c.o.Typed(Suricata)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %#v, %v", c.o, got, err)
		}
	}
	for _, bad := range []Option{
		{Name: "sid", Value: "x"}, {Name: "sid", Value: "4294967296"}, {Name: "reference", Value: "x"}, {Name: "flowbits", Value: "a,b,c,d"},
		{Name: "isdataat", Value: "!"}, {Name: "threshold", Value: "type x"}, {Name: "threshold", Value: "track by_src, count x"},
		{Name: "byte_test", Value: "1,2"}, {Name: "byte_test", Value: "1,,2,3"}, {Name: "byte_math", Value: "bytes 1,offset 2,oper +,rvalue 3,x"},
		{Name: "dsize", Value: "x"}, {Name: "dsize", Value: "1<>x"}, {Name: "content", Value: "x"},
	} {
		if got, err := bad.Typed(Suricata); err == nil {
			t.Errorf("%s: %#v", bad, got)
		}
	}
}
