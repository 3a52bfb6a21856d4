package components

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
)

const duckDBVersion = "1.5.6"

// duckDBWheels has, for each system, the SHA-256 of the wheel of
// duckDBVersion.
var duckDBWheels = map[string]string{
	"linux/amd64": "9797555bd39095d730eb0d0b3bf29e95e148c96a4cdce1e363f01c7bf7003a44",
	"linux/arm64": "9b03301a14310a4ef7f86386e87b36954fe099ed762c8a81f94f7bd0ba073542",
}

// DuckDB is DuckDB's command-line program. It comes from the wheel
// "duckdb-cli" of the Python package index; pip only downloads it.
func DuckDB() Component {
	return Component{
		Name: "duckdb", Title: "DuckDB", Version: duckDBVersion,
		verb: "fetching", cost: "21 MB", binary: "duckdb",
		install: func(ctx context.Context, dir string, log io.Writer) error {
			sum, ok := duckDBWheels[runtime.GOOS+"/"+runtime.GOARCH]
			if !ok {
				return fmt.Errorf("no build for %s/%s: %w", runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
			}
			return installWheel(ctx, dir, wheel{
				requirement: "duckdb-cli==" + duckDBVersion, sum: sum, program: "duckdb_cli/duckdb", out: "duckdb",
			}, log)
		},
	}
}
