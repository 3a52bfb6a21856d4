package conf

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestEncode(t *testing.T) {
	tree := []Directive{
		D("worker_processes", "2"),
		B("http", nil,
			B("map", []string{"$uri", "$clover_group"},
				D("default", ""),
				D("/a b", `say "no"; }`),
				D(`~^/x{2}\.html$`, "line\nend\t\r#"),
			),
			B("server", nil, D("listen", "127.0.0.1:80"), B("types", nil), D("add_header", "X-${var}", "$uri")),
		),
	}
	want := `worker_processes 2;
http {
    map $uri $clover_group {
        default "";
        "/a b" "say \"no\"; }";
        "~^/x{2}\\.html$" "line\nend\t\r#";
    }
    server {
        listen 127.0.0.1:80;
        types {
        }
        add_header "X-${var}" $uri;
    }
}
`
	got, err := Encode(tree)
	if err != nil || string(got) != want {
		t.Fatalf("Encode:\n%s%v\nwant:\n%s", got, err, want)
	}
	back, err := Parse(got)
	if err != nil || !reflect.DeepEqual(back, tree) {
		t.Fatalf("Parse gives %+v, %v", back, err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	deep := D("x")
	for range MaxDepth {
		deep = B("b", nil, deep)
	}
	for _, c := range []struct {
		tree Directive
		want EncodeError
	}{
		{D("a", "b", "c\x00"), EncodeError{"a", 2, "has a byte of value zero, which nginx takes as the end of a text"}},
		{D("a\x00"), EncodeError{"a\x00", 0, "has a byte of value zero, which nginx takes as the end of a text"}},
		{D("a", strings.Repeat(`"`, MaxWordBytes/2)), EncodeError{"a", 1, "is longer than nginx reads"}},
		{deep, EncodeError{"x", 0, "blocks lie too deep in each other"}},
	} {
		_, err := Encode([]Directive{c.tree})
		var got *EncodeError
		if !errors.As(err, &got) || *got != c.want {
			t.Errorf("error is %v, want %v", err, &c.want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want []Directive
	}{
		{"", []Directive{}},
		{" # only a comment", []Directive{}},
		{"a b;c{}", []Directive{D("a", "b"), B("c", nil)}},
		{"a b#c d; # x { ;\n e 'f';", []Directive{D("a", "b#c", "d"), D("e", "f")}},
		{`if ($a = "x") { return 1; }`, []Directive{B("if", []string{"($a", "=", "x", ")"}, D("return", "1"))}},
		{`a ${b}c{d e;}`, []Directive{B("a", []string{"${b}c"}, D("d", "e"))}},
		{`a b\;c \{ \x \\ \" ;`, []Directive{D("a", `b\;c`, `\{`, `\x`, `\`, `"`)}},
		{`'a' "b\"c\n\'" 'd"e' "";`, []Directive{D("a", "b\"c\n'", `d"e`, "")}},
		{"a x}y \"{;}\" 'p\nq';", []Directive{D("a", "x}y", "{;}", "p\nq")}},
		{`a "$" $;`, []Directive{D("a", "$", "$")}},
	} {
		got, err := Parse([]byte(c.text))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("Parse(%q) = %+v, %v, want %+v", c.text, got, err, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a b", `line 1, column 4: unexpected end of file, expecting ";" or "}"`},
		{"a;\n  }", `line 2, column 3: unexpected "}"`},
		{"a {\nb;\n", `line 3, column 1: unexpected end of file, expecting "}"`},
		{";", `line 1, column 1: unexpected ';'`},
		{"a }", `line 1, column 3: unexpected '}'`},
		{"\n{", `line 2, column 1: unexpected '{'`},
		{`a "b"c;`, `line 1, column 6: unexpected 'c' after the closing quote`},
		{"a\n\"b;", `line 2, column 1: no closing '"'`},
		{`a "b\`, `line 1, column 3: no closing '"'`},
		{`a b\`, `line 1, column 5: unexpected end of file, expecting ";" or "}"`},
		{"a " + strings.Repeat("x", maxReadBytes+1) + ";", "line 1, column 3: a word of 4096 bytes, nginx reads up to 4095"},
		{strings.Repeat("a{", MaxDepth+1), "line 1, column 130: more than 64 blocks in each other"},
	} {
		_, err := Parse([]byte(c.text))
		var typed *SyntaxError
		if !errors.As(err, &typed) || err.Error() != "nginx configuration: "+strings.ReplaceAll(c.want, `"}":`, `"}":`) {
			t.Errorf("Parse(%.20q): %v, want %s", c.text, err, c.want)
		}
	}
}

// FuzzEncode builds any tree and reads it back.
func FuzzEncode(f *testing.F) {
	f.Add("http|a b|\"{|};|\x00|}|$", uint64(0b1101_0010_1011))
	f.Add("x|\\|\n|#|'|${|)|", uint64(7))
	f.Fuzz(func(t *testing.T, words string, shape uint64) {
		tree := grow(strings.Split(words, "|"), shape)
		text, err := Encode(tree)
		if err != nil {
			var typed *EncodeError
			if !errors.As(err, &typed) {
				t.Fatalf("error is %v, want an EncodeError", err)
			}
			return
		}
		back, err := Parse(text)
		if err != nil || !reflect.DeepEqual(back, tree) {
			t.Fatalf("%q\nbecame\n%s\nread as\n%q, %v", tree, text, back, err)
		}
	})
}

// grow makes a tree of the words; the bits of shape say how it branches.
func grow(words []string, shape uint64) []Directive {
	root := B("", nil)
	at := []*Directive{&root}
	for i := 0; i < len(words); i++ {
		here := at[len(at)-1]
		if len(here.Block) > 0 && shape&1 != 0 {
			last := &here.Block[len(here.Block)-1]
			if shape&2 != 0 && last.Block == nil {
				last.Args = append(last.Args, words[i])
			} else {
				if last.Block == nil {
					last.Block = []Directive{}
				}
				at = append(at, last)
				i--
			}
		} else {
			here.Block = append(here.Block, D(words[i]))
			if shape&4 != 0 && len(at) > 1 {
				at = at[:len(at)-1]
			}
		}
		shape = shape>>3 | shape<<61
		if shape == 0 {
			shape = 1 << 40
		}
	}
	return root.Block
}

// FuzzParse reads any text; what it accepts can be written and read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte("http {\n server { listen 80; location ~ \\.php$ { return 200 \"a\\tb\"; } }\n}\n# end"))
	f.Add([]byte("a ${b}c 'd\\'' \"e\" ) ; x{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		tree, err := Parse(text)
		if err != nil {
			var typed *SyntaxError
			if !errors.As(err, &typed) || typed.Line < 1 || typed.Column < 1 {
				t.Fatalf("error is %#v", err)
			}
			return
		}
		again, err := Encode(tree)
		if err != nil {
			return // a byte of value zero, or longer with its escapes
		}
		back, err := Parse(again)
		if err != nil || !reflect.DeepEqual(back, tree) {
			t.Fatalf("%q became %q, read as %+v, %v", text, again, back, err)
		}
	})
}

func ExampleEncode() {
	text, err := Encode([]Directive{
		B("server", nil,
			D("server_name", "a.example; include /etc/shadow"),
			D("return", "200", "hello\n"),
		),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(text))
	// Output:
	// server {
	//     server_name "a.example; include /etc/shadow";
	//     return 200 "hello\n";
	// }
}
