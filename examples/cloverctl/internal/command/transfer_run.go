package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/parquet"
)

// Files of an export beside the spans and metrics.
const (
	ledgerFile        = "_ledger.json"
	configurationFile = "_config.json"
)

// export writes the store into a folder.
func (r *remote) export(ctx context.Context, dir string) (exported, error) {
	done := exported{Directory: dir}
	stats, err := r.Stats(ctx)
	if err != nil {
		return done, err
	}
	progress := r.progress()
	defer progress.end()
	m, err := parquet.Export(ctx, r, dir, parquet.Options{
		Open: true, Recheck: math.MaxInt64,
		Progress: func(p parquet.Progress) {
			progress.say("exported the traces up to %s", p.File.From.Local().Format(time.DateTime))
		},
	})
	if err != nil {
		return done, fmt.Errorf("%w\nDo it again when that is mended: it goes on from there", err)
	}
	for i := range m.Files {
		done.Traces += m.Files[i].Traces
	}
	done.Store, done.Spans, done.Complete = stats.Name, m.Spans(), m.Through
	progress.say("exporting metrics")
	if done.Metrics, err = parquet.ExportMetrics(ctx, r, dir); err != nil {
		return done, err
	}
	if err := r.exportLedger(ctx, filepath.Join(dir, ledgerFile)); err != nil {
		return done, err
	}
	config := &v1.GetConfigResponse{}
	err = r.patiently(ctx, func() error { _, err := r.client.Get(ctx, "config", nil, config); return err })
	if err != nil {
		return done, err
	}
	return done, writeMessage(filepath.Join(dir, configurationFile), config.GetConfig())
}

func (r *remote) exportLedger(ctx context.Context, path string) error {
	all, q := &v1.GetLedgerResponse{}, url.Values{}
	for {
		page := &v1.GetLedgerResponse{}
		if err := r.patiently(ctx, func() error { _, err := r.client.Get(ctx, "ledger", q, page); return err }); err != nil {
			return err
		}
		all.Entries = append(all.Entries, page.GetEntries()...)
		if page.GetNextPageToken() == "" {
			return writeMessage(path, all)
		}
		q.Set("page_token", page.GetNextPageToken())
	}
}

// writeMessage writes a file beside its place and renames it.
func writeMessage(path string, m proto.Message) error {
	raw, err := protojson.MarshalOptions{UseProtoNames: true, Multiline: true}.Marshal(m)
	if err != nil {
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// readMessage reads a file that an export may have left out: then found is
// false.
func readMessage(path string, m proto.Message) (found bool, err error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(raw, m)
	}
	if err != nil {
		return false, usagef("%s: %w", path, err)
	}
	return true, nil
}

// holdsExport refuses a folder without spans before anything is sent.
func holdsExport(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return usageError{err}
	}
	m, err := parquet.ReadManifest(dir)
	if err != nil {
		return usageError{err}
	}
	if m.Version > 0 {
		return nil
	}
	found := false
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".parquet") {
			found = true
			return fs.SkipAll
		}
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("%s has no Parquet files; want a folder that `cloverctl export visibility --to FOLDER` has written", dir)
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}

// importFrom stores what a folder has.
func (r *remote) importFrom(ctx context.Context, dir string, withConfig bool) (imported, error) {
	done := imported{Directory: dir, Rejected: map[string]int{}}
	config := &v1.Config{}
	if found, err := readMessage(filepath.Join(dir, configurationFile), config); err != nil {
		return done, err
	} else if withConfig && !found {
		return done, usagef("--config: %s has no %s", dir, configurationFile)
	}
	ledger := &v1.GetLedgerResponse{}
	if _, err := readMessage(filepath.Join(dir, ledgerFile), ledger); err != nil {
		return done, err
	}
	// A controller that is not there is told at once.
	if _, err := r.Stats(ctx); err != nil {
		return done, err
	}
	m, err := parquet.ReadManifest(dir)
	if err != nil {
		return done, err
	}
	progress := r.progress()
	defer progress.end()
	total, err := parquet.Import(ctx, dir, r, func(t visibility.Receipt) {
		n := t.Kept + t.Duplicates + t.Spooled
		for _, rejected := range t.Rejected {
			n += rejected
		}
		progress.say("imported %d of %d spans", n, max(m.Spans(), int64(n)))
	})
	done.Kept, done.Duplicates, done.Spooled, done.Rejected = total.Kept, total.Duplicates, total.Spooled, total.Rejected
	if err != nil {
		return done, fmt.Errorf("%w\nDo it again when that is mended: what is in the store is not counted again", err)
	}
	if err := r.importLedger(ctx, ledger.GetEntries()); err != nil {
		return done, err
	}
	if withConfig {
		_, err = r.client.Send(ctx, "PATCH", "config", changeTo(config), &v1.UpdateConfigResponse{})
	}
	return done, err
}

// ledgerPage is how many accounts are sent at once.
const ledgerPage = 500

// importLedger sends the accounts, so that all of one service are together.
func (r *remote) importLedger(ctx context.Context, entries []*v1.LedgerEntry) error {
	slices.SortStableFunc(entries, func(a, b *v1.LedgerEntry) int { return strings.Compare(a.GetService(), b.GetService()) })
	for len(entries) > 0 {
		n := min(ledgerPage, len(entries))
		for n < len(entries) && entries[n].GetService() == entries[n-1].GetService() {
			n++
		}
		if err := r.send(ctx, &v1.ImportRequest{Ledger: entries[:n]}, &v1.ImportResponse{}); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// changeTo is the change that makes a configuration what c is.
func changeTo(c *v1.Config) *v1.ConfigChange {
	of := func(items []string) *v1.StringList { return &v1.StringList{Items: items} }
	return &v1.ConfigChange{
		Services: of(c.GetServices()), MetricPrefixes: of(c.GetMetricPrefixes()), MetricSuffixes: of(c.GetMetricSuffixes()),
		CustomMetrics: of(c.GetCustomMetrics()), SampleInterval: c.GetSampleInterval(),
		TracingUrls: of(c.GetTracingUrls()), MonitoringUrl: proto.String(c.GetMonitoringUrl()),
	}
}
