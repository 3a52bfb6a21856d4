package deploy

import (
	"errors"
	"testing"
)

func TestComponentsThatAreNotThere(t *testing.T) {
	for name, want := range map[string]error{"clovisor": ErrPlannedComponent, "validation": ErrPlannedComponent, "cassandra": ErrUnknownComponent} {
		if _, err := Render(t.Context(), Options{Components: []string{name}}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

func TestEachComponentRenders(t *testing.T) {
	for _, c := range Components() {
		if c.Planned {
			continue
		}
		objects, err := Render(t.Context(), Options{Components: []string{c.Name}})
		if err != nil || len(objects) == 0 {
			t.Errorf("%s: %d objects, %v", c.Name, len(objects), err)
		}
	}
}
