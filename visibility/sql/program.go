package sql

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Program is a DB that runs DuckDB's command-line program once for each
// statement. It needs version 1.3 or newer and no database file.
type Program struct {
	Path string // "": duckdb, as found by PATH
	// Args go before all others, e.g. "-cmd", "SET memory_limit = '2GB'".
	Args []string
}

var _ DB = Program{}

// Query implements DB.
func (p Program) Query(ctx context.Context, statement string, yield func(row []any) error) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	path := p.Path
	if path == "" {
		path = "duckdb"
	}
	args := append(append([]string(nil), p.Args...), "-no-init", "-batch", "-bail", "-jsonlines")
	cmd := exec.CommandContext(ctx, path, args...)
	var complaint limited
	cmd.Stdin, cmd.Stderr = strings.NewReader(statement+";\n"), &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("duckdb: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("duckdb: %w", err)
	}
	readErr := readLines(out, yield)
	if readErr != nil {
		cancel()
	}
	waitErr := cmd.Wait()
	switch {
	case readErr != nil:
		return readErr
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case waitErr != nil:
		return errors.Join(fmt.Errorf("duckdb: %s", strings.TrimSpace(complaint.String())), waitErr)
	}
	return nil
}

// readLines reads an object a line, and gives its values in their order.
func readLines(r io.Reader, yield func(row []any) error) error {
	lines := bufio.NewReader(r)
	var row []any
	for {
		line, err := lines.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if row, err = values(line, row[:0]); err != nil {
				return fmt.Errorf("duckdb: %q: %w", line[:min(len(line), 200)], err)
			}
			if err := yield(row); err != nil {
				return err
			}
			continue
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("duckdb: %w", err)
		}
	}
}

// values appends the values of a JSON object in their order.
func values(object []byte, row []any) ([]any, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return row, errors.Join(errors.New("is no JSON object"), err)
	}
	for d.More() {
		if _, err := d.Token(); err != nil {
			return row, err
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return row, err
		}
		row = append(row, v)
	}
	_, err := d.Token()
	return row, err
}

// limited keeps the first bytes of what a program complains about.
type limited struct{ bytes.Buffer }

const maxComplaint = 4096

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	l.Buffer.Write(p[:min(len(p), max(0, maxComplaint-l.Len()))])
	return len(p), nil
}
