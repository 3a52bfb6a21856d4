package job

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/opnfv/clover/visibility"
)

// Results reads what the jobs have found. It is a visibility.RollupReader
// whose finest buckets are hours and whose aggregates have no percentiles. Its
// methods may be called concurrently, also while jobs run, in any process.
type Results struct{ dir string }

// OpenResults returns the results in a folder, which may still be empty.
func OpenResults(dir string) *Results { return &Results{dir: dir} }

// State returns what the runs have come to.
func (r *Results) State() (*State, error) { return ReadState(r.dir) }

// row is one line of a job's output.
type row struct {
	File            string `json:"file"`
	Hour            int64  `json:"hour"`
	Role            string `json:"role"`
	Service         string `json:"service"`
	Operation       string `json:"operation"`
	URL             string `json:"url"`
	URLTemplate     string `json:"url_template"`
	Method          string `json:"method"`
	UserAgent       string `json:"user_agent"`
	UpstreamCluster string `json:"upstream_cluster"`
	Node            string `json:"node"`
	Kind            string `json:"kind"`
	Source          string `json:"source"`
	Destination     string `json:"destination"`
	Version         string `json:"version"`
	StatusCode      int    `json:"status_code"`
	Error           bool   `json:"error"`

	Spans         int64 `json:"spans"`
	TotalNS       int64 `json:"total_ns"`
	MinNS         int64 `json:"min_ns"`
	MaxNS         int64 `json:"max_ns"`
	RequestBytes  int64 `json:"request_bytes"`
	ResponseBytes int64 `json:"response_bytes"`

	Traces int64 `json:"traces"` // the others are empty then
}

func (w *row) role() visibility.Role {
	switch w.Role {
	case "server":
		return visibility.RoleServer
	case "client":
		return visibility.RoleClient
	}
	return visibility.RoleSpan
}

func (w *row) key() visibility.Key {
	k := visibility.Key{
		visibility.Service: w.Service, visibility.Operation: w.Operation, visibility.URL: w.URL,
		visibility.URLTemplate: w.URLTemplate, visibility.Method: w.Method, visibility.UserAgent: w.UserAgent,
		visibility.UpstreamCluster: w.UpstreamCluster, visibility.Node: w.Node, visibility.Kind: w.Kind,
		visibility.Source: w.Source, visibility.Destination: w.Destination, visibility.Version: w.Version,
		visibility.ErrorFlag: strconv.FormatBool(w.Error),
	}
	if w.StatusCode != 0 {
		k[visibility.Status] = strconv.Itoa(w.StatusCode)
	}
	return k
}

func (w *row) aggregate() visibility.Aggregate {
	a := visibility.Aggregate{
		Count: w.Spans, Sum: time.Duration(w.TotalNS), Min: time.Duration(w.MinNS), Max: time.Duration(w.MaxNS),
		RequestBytes: w.RequestBytes, ResponseBytes: w.ResponseBytes,
	}
	if w.Error {
		a.Errors = w.Spans
	}
	return a
}

// errReplaced says that a newer run has taken the place of one that was read.
var errReplaced = errors.New("the results were replaced while they were read; try again")

// Rollups calls yield for each row of the hours that r touches; see
// visibility.RollupReader. The range is widened to hours. An error that
// matches visibility.ErrUnavailable may be retried.
func (r *Results) Rollups(ctx context.Context, rng visibility.Range, _ time.Duration, yield func(*visibility.Rollup) error) (visibility.Coverage, error) {
	rng = visibility.Range{From: rng.From.UTC().Truncate(time.Hour), To: rng.To.UTC().Add(time.Hour - 1).Truncate(time.Hour)}
	cov := visibility.Coverage{Range: rng, Finest: time.Hour}
	state, err := r.State()
	if err != nil {
		return cov, err
	}
	var id uint64
	for run := range state.used() {
		err := readOutput(ctx, filepath.Join(r.dir, outputFolder, run), func(w *row) error {
			at := time.Unix(w.Hour, 0).UTC()
			if w.Traces > 0 || state.Buckets[w.File].Run != run || at.Before(rng.From) || !at.Before(rng.To) {
				return nil
			}
			id++
			key, aggregate := w.key(), w.aggregate()
			return yield(&visibility.Rollup{Row: id, Role: w.role(), Key: &key, Bucket: at, Aggregate: &aggregate})
		})
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("spark results: %w: %w", visibility.ErrUnavailable, errReplaced)
		}
		if err != nil {
			return cov, err
		}
	}
	return cov, nil
}

// maxLine bounds a row, in bytes: its texts are bounded where spans come in.
const maxLine = 1 << 20

// readOutput reads the rows that a run has written.
func readOutput(ctx context.Context, dir string, yield func(*row) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" {
			continue // marks and checksums of Hadoop
		}
		if err := readFile(ctx, filepath.Join(dir, e.Name()), yield); err != nil {
			return err
		}
	}
	return nil
}

func readFile(ctx context.Context, name string, yield func(*row) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return readRows(ctx, f, yield)
}

func readRows(ctx context.Context, in io.Reader, yield func(*row) error) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var w row
		if err := json.Unmarshal(lines.Bytes(), &w); err != nil {
			return fmt.Errorf("a row of a job's output: %w", err)
		}
		if err := yield(&w); err != nil {
			return err
		}
	}
	return lines.Err()
}
