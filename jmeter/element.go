package jmeter

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Limits of a JMX file.
const (
	MaxJMXBytes = 64 << 20
	maxXMLDepth = 200
)

// element is one element of an XML file. Where it has children, the space
// between them is not kept.
type element struct {
	name     string
	attrs    []xml.Attr
	text     string
	children []*element
}

// node is an element of a test plan with what is in the hashTree after it.
type node struct {
	el  *element
	sub []*node
}

func (e *element) attr(name string) string {
	for _, a := range e.attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func attr(name, value string) xml.Attr {
	return xml.Attr{Name: xml.Name{Local: name}, Value: value}
}

// prop returns the property of that name, or nil.
func (e *element) prop(name string) *element {
	for _, c := range e.children {
		if c.attr("name") == name {
			return c
		}
	}
	return nil
}

// value returns the text of the property of that name; "" if there is none.
func (e *element) value(name string) string {
	if p := e.prop(name); p != nil {
		return p.text
	}
	return ""
}

// isTrue reads a boolean property.
func (e *element) isTrue(name string) bool { return e.value(name) == "true" }

// add appends properties and returns the element.
func (e *element) add(children ...*element) *element {
	e.children = append(e.children, children...)
	return e
}

func property(kind, name, value string) *element {
	return &element{name: kind, attrs: []xml.Attr{attr("name", name)}, text: value}
}

func text(name, value string) *element { return property("stringProp", name, value) }
func flag(name string, on bool) *element {
	return property("boolProp", name, strconv.FormatBool(on))
}
func number(name string, n int) *element { return property("intProp", name, strconv.Itoa(n)) }

func collection(name string, children ...*element) *element {
	return &element{name: "collectionProp", attrs: []xml.Attr{attr("name", name)}, children: children}
}

// object is a property that is an element itself.
func object(name, class string, children ...*element) *element {
	return &element{name: "elementProp", attrs: []xml.Attr{attr("name", name), attr("elementType", class)}, children: children}
}

// testElement is an element as JMeter's window shows it.
func testElement(class, gui, name string, props ...*element) *element {
	return &element{name: class, attrs: []xml.Attr{
		attr("guiclass", gui), attr("testclass", class), attr("testname", name), attr("enabled", "true"),
	}, children: props}
}

// equal compares what two elements mean; the order of attributes is free.
func (e *element) equal(o *element) bool {
	if e.name != o.name || len(e.attrs) != len(o.attrs) || len(e.children) != len(o.children) {
		return false
	}
	if len(e.children) == 0 && e.text != o.text {
		return false
	}
	for _, a := range e.attrs {
		if !slices.Contains(o.attrs, a) {
			return false
		}
	}
	return slices.EqualFunc(e.children, o.children, (*element).equal)
}

func (n *node) equal(o *node) bool {
	return n.el.equal(o.el) && slices.EqualFunc(n.sub, o.sub, (*node).equal)
}

// marshal writes an XML document. All that is not a name of ours goes through
// encoding/xml's escape.
func marshal(root *element) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	err := encode(&b, root, 0)
	return b.Bytes(), err
}

func encode(b *bytes.Buffer, e *element, depth int) error {
	if !plainName(e.name) && !xmlName.MatchString(e.name) {
		return fmt.Errorf("%w: element %.40q", ErrInvalid, e.name)
	}
	indent(b, depth)
	b.WriteByte('<')
	b.WriteString(e.name)
	for _, a := range e.attrs {
		b.WriteByte(' ')
		b.WriteString(a.Name.Local)
		b.WriteString(`="`)
		if err := escape(b, a.Value); err != nil {
			return err
		}
		b.WriteByte('"')
	}
	b.WriteByte('>')
	if len(e.children) == 0 {
		if err := escapeLines(b, e.text); err != nil {
			return err
		}
	} else {
		b.WriteByte('\n')
		for _, c := range e.children {
			if err := encode(b, c, depth+1); err != nil {
				return err
			}
		}
		indent(b, depth)
	}
	b.WriteString("</")
	b.WriteString(e.name)
	b.WriteString(">\n")
	return nil
}

// plainName reports whether a name has letters only, as nearly all have.
func plainName(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return s != ""
}

var xmlName = regexp.MustCompile(`^[\pL_][\pL\pN_.-]*$`)

func indent(b *bytes.Buffer, depth int) {
	for range depth {
		b.WriteString("  ")
	}
}

// escapeLines writes a text in which a line break stays one.
func escapeLines(b *bytes.Buffer, s string) error {
	for {
		line, rest, more := strings.Cut(s, "\n")
		if err := escape(b, line); err != nil || !more {
			return err
		}
		b.WriteByte('\n')
		s = rest
	}
}

// escape writes a text; most have nothing to escape.
func escape(b *bytes.Buffer, s string) error {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		c := s[i]
		plain = c >= ' ' && c < 0x7F && c != '<' && c != '>' && c != '&' && c != '"' && c != '\''
	}
	if plain {
		b.WriteString(s)
		return nil
	}
	return xml.EscapeText(b, []byte(s))
}

// unmarshal reads an XML document.
func unmarshal(data []byte) (*element, error) {
	if len(data) > MaxJMXBytes {
		return nil, &PlanError{Msg: fmt.Sprintf("%d bytes; at most %d", len(data), MaxJMXBytes)}
	}
	dec := xml.NewDecoder(bytes.NewReader(data))
	dec.CharsetReader = asUTF8
	var root *element
	var stack []*element
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		line, column := dec.InputPos()
		if err != nil {
			return nil, &PlanError{Line: line, Column: column, Msg: "not XML: " + err.Error()}
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attrs: slices.Clone(token.Attr)}
			switch {
			case len(stack) > 0:
				stack[len(stack)-1].add(e)
			case root != nil:
				return nil, &PlanError{Line: line, Column: column, Msg: "a second document; want one"}
			default:
				root = e
			}
			if stack = append(stack, e); len(stack) > maxXMLDepth {
				return nil, &PlanError{Line: line, Column: column, Msg: "nested too deeply"}
			}
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(token)
			}
		}
	}
	if root == nil {
		return nil, &PlanError{Msg: "empty; want a test plan of JMeter"}
	}
	return root, nil
}

// asUTF8 reads the encodings that JMeter has written over time.
func asUTF8(charset string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "utf-8", "us-ascii":
		return in, nil
	case "iso-8859-1":
		data, err := io.ReadAll(in)
		runes := make([]rune, len(data))
		for i, b := range data {
			runes[i] = rune(b)
		}
		return strings.NewReader(string(runes)), err
	}
	return nil, fmt.Errorf("encoding %q; want UTF-8", charset)
}
