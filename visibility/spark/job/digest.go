package job

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opnfv/clover/visibility"
)

// digestFile, beside a run's rows, has what [Figures] need of them: a line for
// each bucket and hour. It is there when the run's buckets count.
const digestFile = "_figures"

// digestRow is a line of it. There may be several of a bucket and hour; they
// add up.
type digestRow struct {
	File string `json:"file"`
	Hour int64  `json:"hour"`
	visibility.ContractSums
}

// digest writes a run's digest and returns what its buckets count. It holds
// the sums of one bucket at a time, as rows come bucket by bucket.
func digest(ctx context.Context, output string) (map[string]Committed, error) {
	f, err := os.Create(filepath.Join(output, digestFile))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	counts, err := writeDigest(ctx, f, output)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	return counts, err
}

func writeDigest(ctx context.Context, f *os.File, output string) (map[string]Committed, error) {
	counts := map[string]Committed{}
	buffered := bufio.NewWriter(f)
	lines := json.NewEncoder(buffered)
	file, hours := "", map[int64]*visibility.ContractSums{}
	flush := func() error {
		for _, hour := range slices.Sorted(maps.Keys(hours)) {
			c, sums := counts[file], hours[hour]
			c.Spans, c.Traces = c.Spans+sums.Spans, c.Traces+sums.Traces
			counts[file] = c
			if err := lines.Encode(digestRow{file, hour, *sums}); err != nil {
				return err
			}
		}
		clear(hours)
		return nil
	}
	err := readOutput(ctx, output, func(w *row) error {
		if w.File != file {
			if err := flush(); err != nil {
				return err
			}
			file = w.File
		}
		if hours[w.Hour] == nil {
			hours[w.Hour] = &visibility.ContractSums{}
		}
		w.addTo(hours[w.Hour])
		return nil
	})
	return counts, cmp.Or(err, flush(), buffered.Flush())
}

// addTo adds a row to sums.
func (w *row) addTo(sums *visibility.ContractSums) {
	if w.Traces > 0 {
		sums.Traces += w.Traces
		return
	}
	key, aggregate := w.key(), w.aggregate()
	sums.Add(&visibility.Rollup{Role: w.role(), Key: &key, Bucket: time.Unix(w.Hour, 0).UTC(), Aggregate: &aggregate})
}

// readDigest calls yield for each line of a run's digest. A line is as long as
// a bucket has values, which are bounded.
func readDigest(ctx context.Context, output string, yield func(*digestRow) error) error {
	f, err := os.Open(filepath.Join(output, digestFile))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	lines := json.NewDecoder(bufio.NewReader(f))
	for lines.More() {
		if err := ctx.Err(); err != nil {
			return err
		}
		var d digestRow
		if err := lines.Decode(&d); err != nil {
			return err
		}
		if err := yield(&d); err != nil {
			return err
		}
	}
	return nil
}
