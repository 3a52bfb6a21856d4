package jmeter_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/jmeter"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden holds what each plan in testdata is written as, that this is the
// same each time, and that reading it gives the same file again.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no plans")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := jmeter.ParsePlan(data)
			if err != nil {
				t.Fatal(err)
			}
			got, err := plan.JMX()
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".jmx"
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("differs from %s (%v); look with -update and git diff", golden, err)
			}
			read, err := jmeter.ReadJMX(got)
			if err != nil {
				t.Fatal(err)
			}
			again, err := read.JMX()
			if err != nil || !bytes.Equal(got, again) {
				t.Errorf("read and written again it differs (%v):\n%s", err, again)
			}
		})
	}
}
