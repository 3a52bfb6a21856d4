package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/opnfv/clover/clovisor/kernel"
)

// check says what this machine can do.
func check(_ []string, stdout, _ io.Writer) error {
	c, err := kernel.New(kernel.Options{Name: "check"})
	if err != nil {
		return explain(err)
	}
	stats, err := c.Stats()
	err = errors.Join(err, c.Close())
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "programs load; hook %s, buffer %s\n", stats.Hook, stats.Buffer)
	return nil
}
