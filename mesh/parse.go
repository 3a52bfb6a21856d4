package mesh

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	// maxYAMLBytes bounds what Parse reads.
	maxYAMLBytes = 4 << 20
	// maxObjects bounds how many resources it returns.
	maxObjects = 1000
)

// Parse reads YAML or JSON documents as a [Set]. A resource without a
// namespace gets the one given. Unknown kinds and unknown fields are errors,
// which match [ErrInvalid]; so are more than 4 MiB or 1,000 resources.
func Parse(data []byte, namespace string) (Set, error) {
	var s Set
	if len(data) > maxYAMLBytes {
		return s, invalidInput(0, fmt.Errorf("%d bytes, at most %d are read", len(data), maxYAMLBytes))
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for n := 1; ; n++ {
		doc, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return Set{}, invalidInput(n, err)
		}
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(doc, &o.Object); err != nil {
			return Set{}, invalidInput(n, err)
		}
		if len(o.Object) == 0 {
			continue
		}
		if n > maxObjects {
			return Set{}, invalidInput(n, fmt.Errorf("at most %d resources are read", maxObjects))
		}
		if o.GetNamespace() == "" {
			o.SetNamespace(namespace)
		}
		if err := s.add(o, true); err != nil {
			return Set{}, invalidInput(n, err)
		}
	}
}

func invalidInput(document int, err error) error {
	return &Error{Op: "read", Target: fmt.Sprintf("document %d", document), Kind: ErrInvalid, Err: err}
}
