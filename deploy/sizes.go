package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// ErrUnknownSize is a name that no size has.
var ErrUnknownSize = errors.New("unknown size")

// sizes are the first one, which the chart's own values are, and files of the
// chart's folder sizes.
var sizes = []string{"small", "medium", "large"}

// Sizes lists the sizes that an install can have, the smallest first: what it
// asks for, and its limits. With Cassandra and three collectors the smallest
// fits into 6 GiB of memory.
func Sizes() []string { return slices.Clone(sizes) }

// sizeValues are the values of a size.
func sizeValues(name string) (map[string]any, error) {
	values := map[string]any{}
	if name == "" || name == sizes[0] {
		return values, nil
	}
	if !slices.Contains(sizes, name) {
		return nil, fmt.Errorf("deploy: %w %q; there are %s", ErrUnknownSize, name, strings.Join(sizes, ", "))
	}
	data, err := files.ReadFile("chart/sizes/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("deploy: %w", err)
	}
	if err := yaml.Unmarshal(data, &values); err != nil {
		return nil, fmt.Errorf("deploy: size %s: %w", name, err)
	}
	return values, nil
}
