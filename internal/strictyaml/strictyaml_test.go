package strictyaml_test

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"

	"github.com/opnfv/clover/internal/strictyaml"
)

var limits = strictyaml.Limits{Bytes: 4 << 10, Depth: 8}

func TestDocument(t *testing.T) {
	for text, want := range map[string]string{
		"a: 1":                                "",
		"---\na: 1\n---\n":                    "",
		"a: [":                                "line 1, column 4: not YAML: ",
		"a: 1\n---\nb: 1":                     "line 3, column 1: a second document; want one",
		strings.Repeat("[", 9):                "line 1, column 1: nested too deeply",
		"a:\n" + strings.Repeat(" ", 17):      "line 2, column 1: nested too deeply",
		"a:\n" + strings.Repeat("- ", 9):      "line 2, column 1: nested too deeply",
		"# \r" + strings.Repeat("?", 17):      "line 1, column 1: nested too deeply",
		"a: " + strings.Repeat("x", 4<<10):    "4099 bytes; at most 4096",
		"a: b  " + strings.Repeat("[]{}", 90): "",
	} {
		root, fault := strictyaml.Document([]byte(text), limits)
		switch {
		case want == "" && (fault != nil || root == nil):
			t.Errorf("%.40q: %v, %v", text, root, fault)
		case want != "" && (fault == nil || !strings.HasPrefix(fault.Error(), want)):
			t.Errorf("%.40q: %v, want %s", text, fault, want)
		}
	}
	for _, text := range []string{"", "# nothing\n", "---\n---\n"} {
		if root, fault := strictyaml.Document([]byte(text), limits); root != nil || fault != nil {
			t.Errorf("%q: %v, %v, want nothing", text, root, fault)
		}
	}
}

// TestSecret holds that a file with secrets is not quoted.
func TestSecret(t *testing.T) {
	secret := limits
	secret.Secret = true
	for _, text := range []string{"a: [hunter2", "a: 'hunter2", "hunter2: x: y", "a: @hunter2", "a: b\n hunter2: c\nd", "hunter2: *hunter2 x"} {
		if _, fault := strictyaml.Document([]byte(text), secret); fault != nil && strings.Contains(fault.Error(), "hunter2") {
			t.Errorf("%s: %v", text, fault)
		}
	}
	if _, fault := strictyaml.Document([]byte("a: 'x"), secret); fault == nil || fault.Line != 1 {
		t.Errorf("%v, want a fault on line 1", fault)
	}
	if root, fault := strictyaml.Document([]byte("a: 1\na: 2"), secret); fault != nil || root == nil {
		t.Errorf("a key that is given twice: %v", fault)
	}
}

// TestNodes holds what is said of each kind of value.
func TestNodes(t *testing.T) {
	for _, test := range []struct {
		value, text, is string
		column          int
	}{
		{`001`, "001", "a number", 4},
		{`1.50`, "1.50", "a number", 4},
		{`.inf`, ".inf", "a number", 4},
		{`True`, "True", "a boolean", 4},
		{`"a #b"`, "a #b", "a string", 4},
		{"|\n  two\n  lines\n", "two\nlines", "a string", 4},
		{`[1]`, "", "a list", 4},
		{`{a: 1}`, "", "a mapping", 4},
		{``, "", "no value", 4},
		{`&x 1`, "", "an anchor or alias, which are not supported", 4},
		{`!!str 1`, "", "a tag, which is not supported", 4},
	} {
		root, fault := strictyaml.Document([]byte("k: "+test.value), limits)
		if fault != nil {
			t.Errorf("%q: %v", test.value, fault)
			continue
		}
		pairs, ok := strictyaml.Pairs(root)
		if !ok || len(pairs) != 1 {
			t.Errorf("%q: %d pairs", test.value, len(pairs))
			continue
		}
		n := pairs[0].Value
		text, ok := strictyaml.Scalar(n)
		if text != test.text || ok != (test.text != "") || strictyaml.Describe(n) != test.is {
			t.Errorf("%q: %q, %v, %s, want %q, %s", test.value, text, ok, strictyaml.Describe(n), test.text, test.is)
		}
		if line, column := strictyaml.Place(n); line != 1 || column != test.column {
			t.Errorf("%q: line %d, column %d, want 1, %d", test.value, line, column, test.column)
		}
	}
}

func TestKey(t *testing.T) {
	root, _ := strictyaml.Document([]byte("'User-Agent': x"), limits)
	pairs, _ := strictyaml.Pairs(root)
	if written, name := strictyaml.Key(pairs[0].Key); written != "User-Agent" || name != "user_agent" {
		t.Errorf("%q, %q", written, name)
	}
}

// FuzzDocument holds that every file is read or has a fault, and that each
// node can be asked for everything.
func FuzzDocument(f *testing.F) {
	for _, text := range []string{"a: {b: [1, x]}", "? a\n: b", "- |\n  a\n- *b", "&a b: !c d", "<<: 1", "{"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		root, fault := strictyaml.Document(data, limits)
		if fault != nil {
			_ = fault.Error()
			return
		}
		if root != nil {
			ask(root)
		}
	})
}

func ask(n ast.Node) {
	strictyaml.Describe(n)
	strictyaml.Place(n)
	strictyaml.Scalar(n)
	pairs, _ := strictyaml.Pairs(n)
	for _, p := range pairs {
		strictyaml.Key(p.Key)
		ask(p.Value)
	}
	if list, ok := n.(*ast.SequenceNode); ok {
		for _, e := range list.Values {
			ask(e)
		}
	}
}
