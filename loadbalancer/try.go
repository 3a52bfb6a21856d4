package loadbalancer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxTryFiles bounds the files of one Try.
const maxTryFiles = 8

// ParseTry reads the one directive that a location of a site may have:
//
//	try_files FILE… [=CODE | @NAME]
//
// where a FILE is $uri, $uri/ or a path. A last path stands alone as nginx
// allows it: it is tried as a file like the others.
func ParseTry(directive string) (Try, error) {
	words := strings.Fields(strings.TrimSuffix(strings.TrimSpace(directive), ";"))
	if len(words) < 2 || words[0] != "try_files" {
		return Try{}, &FieldError{Msg: fmt.Sprintf("%q; want try_files, then $uri, $uri/ or /PATH, and at the end @NAME or =CODE", clip(directive))}
	}
	words = words[1:]
	var t Try
	last := words[len(words)-1]
	if name, ok := strings.CutPrefix(last, "@"); ok {
		t.Named, words = name, words[:len(words)-1]
		if name == "" {
			return Try{}, &FieldError{Msg: "@ without a name"}
		}
	} else if code, ok := strings.CutPrefix(last, "="); ok {
		n, err := strconv.Atoi(code)
		if err != nil || n == 0 {
			return Try{}, &FieldError{Msg: fmt.Sprintf("%q; want =400 to =599", clip(last))}
		}
		t.Status, words = n, words[:len(words)-1]
	}
	t.Files = words
	if err := t.validate(); err != nil {
		return Try{}, &FieldError{Msg: err.Error()}
	}
	return t, nil
}

// String returns the directive that ParseTry reads.
func (t Try) String() string {
	words := append([]string{"try_files"}, t.Files...)
	if t.Named != "" {
		words = append(words, "@"+t.Named)
	}
	if t.Status != 0 {
		words = append(words, "="+strconv.Itoa(t.Status))
	}
	return strings.Join(words, " ")
}

func (t Try) validate() error {
	if n := len(t.Files); n == 0 || n > maxTryFiles {
		return fmt.Errorf("%d files to try; want 1 to %d", n, maxTryFiles)
	}
	for _, f := range t.Files {
		if f == "$uri" || f == "$uri/" {
			continue
		}
		if checkPath(f) != nil {
			return fmt.Errorf("%q; want $uri, $uri/ or a /PATH, and at the end @NAME or =CODE", clip(f))
		}
	}
	if t.Named != "" && !namedPattern.MatchString(t.Named) {
		return fmt.Errorf("@%s; want letters, digits and '_'", clip(t.Named))
	}
	if t.Status != 0 && (t.Status < 400 || t.Status > 599) {
		return fmt.Errorf("=%d; want =400 to =599", t.Status)
	}
	if t.Status != 0 && t.Named != "" {
		return errors.New("a status and a named end; want one of both")
	}
	return nil
}
