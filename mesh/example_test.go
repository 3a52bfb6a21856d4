package mesh_test

import (
	"fmt"

	"github.com/opnfv/clover/mesh"
)

// A split whose shares do not make 100 percent is found before anything is
// applied.
func ExampleSet_Validate() {
	canary := mesh.Split("default", "http-lb", 9180, map[string]int{"http-lb-v1": 90, "http-lb-v2": 5})
	fmt.Println(canary.Validate(nil))
	// Output:
	// VirtualService default/http-lb: spec.http[0].route: weights make 95 percent together, want 100
}
