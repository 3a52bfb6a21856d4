package command

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/visibility/engine"
)

// engineFlags are --engine and --explain.
type engineFlags struct {
	engine  string
	explain bool
}

func (f *engineFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.engine, "engine", string(engine.Auto), "who answers: "+strings.Join(engine.Names, ", ")+
		"; auto takes Spark for what only its files hold, and for what would have the store read very much")
	c.Flags().BoolVar(&f.explain, "explain", false, "say who has answered and why, and what it was to cost and did")
	complete(c, "engine", engine.Names)
}

func (f *engineFlags) query(q url.Values) error {
	name, err := engine.ParseName(f.engine)
	if err != nil {
		return usagef("--engine: %w", err)
	}
	q.Set("engine", "ENGINE_"+strings.ToUpper(string(name)))
	if f.explain {
		q.Set("explain", "true")
	}
	return nil
}

// notes are an explanation in lines; without --explain only that the store has
// not answered.
func (f *engineFlags) notes(e *v1.Explanation) []string {
	if e == nil {
		return nil
	}
	name := strings.ToLower(strings.TrimPrefix(e.GetEngine().String(), "ENGINE_"))
	answered := name + " has answered, because " + e.GetReason()
	if !f.explain {
		return []string{answered}
	}
	lines := []string{answered, "estimated: store " + costText(e.GetStoreEstimate(), "rollups")}
	if e.GetSparkEstimate() != nil {
		lines = append(lines, "estimated: spark "+costText(e.GetSparkEstimate(), "spans"))
	}
	return append(lines, "actual: "+name+" "+costText(e.GetActual(), "rollups"))
}

// costText is what is known of a cost; read says what is counted by it.
func costText(c *v1.Cost, read string) string {
	var parts []string
	if c.Read != nil {
		parts = append(parts, fmt.Sprintf("reads %d %s", c.GetRead(), read))
	}
	if c.Files != nil {
		parts = append(parts, fmt.Sprintf("of %d files", c.GetFiles()))
	}
	if c.Returned != nil {
		parts = append(parts, fmt.Sprintf("returns %d rows", c.GetReturned()))
	}
	if c.GetElapsed() != nil {
		parts = append(parts, "takes "+c.GetElapsed().AsDuration().Round(time.Millisecond).String())
	}
	if len(parts) == 0 {
		return "is not known"
	}
	return strings.Join(parts, ", ")
}
