package engine

import (
	"fmt"
	"time"

	"github.com/opnfv/clover/visibility"
)

// facts are what a choice is based on.
type facts struct {
	rng        visibility.Range
	store      visibility.StoreStats
	spark      bool   // there is one
	same       bool   // it reads what the store has
	files      *Files // nil: not known
	filesErr   error  // why not, if they should be
	maxRollups int64
}

// decide chooses for Auto, and says why in words that go on from "because".
func (f *facts) decide() (Name, string) {
	switch {
	case !f.spark:
		return Store, "there is no other: no Spark server is configured"
	case f.same:
		return Store, "it has rollups of the spans that Spark would have to read one by one"
	case f.filesErr != nil:
		return Store, fmt.Sprintf("what the files of Spark hold cannot be read (%v)", f.filesErr)
	case f.files == nil:
		return Store, "it is not known here what the files of Spark hold"
	case len(f.files.List) == 0:
		return Store, "there are no files for Spark yet"
	}
	lost, since := f.onlyInFiles()
	missing := f.notInFiles()
	switch stored := f.storeCost().Read; {
	case lost > 0 && missing == 0:
		return Spark, fmt.Sprintf("%d spans of the range are in its files only; %s", lost, f.begins())
	case lost > 0 && f.begin().Sub(since) > missing:
		return Spark, fmt.Sprintf("%d spans of the range are in its files only; %s; what the files do not have, %v of the range, is less",
			lost, f.begins(), missing)
	case lost > 0:
		return Store, fmt.Sprintf("the files of Spark lack %v of the range, and the store less, %d spans; %s", missing, lost, f.begins())
	case missing > 0:
		return Store, fmt.Sprintf("it has rollups of all of the range, of which the files of Spark, from %s to %s, lack %v",
			stamp(f.files.From), stamp(f.files.Through), missing)
	case stored > f.maxRollups:
		return Spark, fmt.Sprintf("the store would have to read about %d rollups, and more than %d are too many", stored, f.maxRollups)
	default:
		return Store, fmt.Sprintf("it has rollups of all of the range, about %d to read; Spark would read %d spans",
			stored, f.sparkCost().Read)
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// begin is where the range begins in the store; its end if the store has
// nothing of it.
func (f *facts) begin() time.Time {
	if f.store.Oldest.IsZero() || f.store.Oldest.After(f.rng.To) {
		return f.rng.To
	}
	return latest(f.rng.From, f.store.Oldest)
}

// begins is begin in words, and where the files begin, if that is within the
// range.
func (f *facts) begins() string {
	words := "the store begins at " + stamp(f.store.Oldest)
	if f.store.Oldest.IsZero() {
		words = "the store is empty"
	}
	if f.rng.From.Before(f.files.From) {
		words += ", its files at " + stamp(f.files.From)
	}
	return words
}

// onlyInFiles is the number of spans of the range in files that are older than
// all that the store has, and when the first of those begins.
func (f *facts) onlyInFiles() (spans int64, since time.Time) {
	for _, file := range f.inRange() {
		end := file.From.Add(f.files.Window)
		if !f.store.Oldest.IsZero() && end.After(f.store.Oldest) {
			continue
		}
		if spans == 0 {
			since = latest(file.From, f.rng.From)
		}
		spans += file.Spans
	}
	return spans, since
}

// notInFiles is how much of the range has spans in the store that are not in
// the files.
func (f *facts) notInFiles() (missing time.Duration) {
	if f.store.Oldest.IsZero() {
		return 0
	}
	begin := f.begin()
	end := f.rng.To
	if newest := f.store.Newest.Add(time.Second); newest.Before(end) {
		end = newest
	}
	if before := f.files.From.Sub(begin); before > 0 {
		missing += before
	}
	if after := end.Sub(latest(f.files.Through, begin)); after > 0 {
		missing += after
	}
	return missing.Truncate(time.Second)
}

// inRange are the files with traces that began in the range.
func (f *facts) inRange() (list []File) {
	for _, file := range f.files.List {
		if file.From.Before(f.rng.To) && file.From.Add(f.files.Window).After(f.rng.From) {
			list = append(list, file)
		}
	}
	return list
}

// storeCost estimates what the store reads: a rollup for each row and bucket,
// but not more than there are spans.
func (f *facts) storeCost() Cost {
	cost := Cost{Read: 0, Files: -1, Returned: -1, Elapsed: -1}
	whole := f.store.Newest.Sub(f.store.Oldest) + time.Second
	from, to := latest(f.rng.From, f.store.Oldest), f.rng.To
	if end := f.store.Newest.Add(time.Second); to.After(end) {
		to = end
	}
	part := to.Sub(from)
	if f.store.Spans == 0 || part <= 0 {
		return cost
	}
	buckets := int64((part + visibility.MinStep - 1) / visibility.MinStep)
	spans := int64(float64(f.store.Spans) * min(1, float64(part)/float64(whole)))
	cost.Read = max(1, min(f.store.Rows*buckets, spans))
	return cost
}

// sparkCost estimates what Spark reads: the files of the range as a whole, or
// all that the store has.
func (f *facts) sparkCost() Cost {
	cost := Unknown
	if f.same {
		cost.Read = f.store.Spans
	}
	if f.files == nil {
		return cost
	}
	cost.Read, cost.Files = 0, 0
	for _, file := range f.inRange() {
		cost.Read += file.Spans
		cost.Files++
	}
	return cost
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
