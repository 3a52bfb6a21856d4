package cassandra

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/opnfv/clover/tracing"
)

// Two collectors may be given the same span at the same moment: while its
// service passes from one to the other, when a process that was stopped goes
// on, or by a sender that repeats. When they look before they write, neither
// finds what the other is about to write. So each looks again between writing
// its rows and committing them. Of two, one looks after the other has written,
// and finds it: then the other's commit has to be there, and this one begins
// again and finds duplicates, or it is made impossible. Rows of different
// writers never overwrite each other, so that the rows of a commit that was
// made impossible, which may still arrive, hide nothing.
//
// The same goes for a trace that each would count as new.

// spanID is the key of a span's rows within its trace, but for the writer.
type spanID struct {
	span    string
	kind    int8
	service int64
}

// claim notes that the commit at hand writes a span.
func (g *gathering) claim(s *tracing.Span) {
	if g.claims[s.TraceID] == nil {
		g.claims[s.TraceID] = map[spanID]struct{}{}
	}
	g.claims[s.TraceID][spanID{s.SpanID.String(), int8(s.Kind), hash64(s.Service)}] = struct{}{}
}

// rival is a commit of another writer that has a span or a trace of the commit
// at hand.
type rival struct {
	writer  string
	version version
}

// errOvertaken: another writer has committed some of the same spans.
var errOvertaken = errors.New("another writer has some of the spans")

// rivalPatience is how long another writer whose name comes first may take to
// commit what this one has too, before its epoch is ended.
const rivalPatience = 3 * time.Second

// checkClaims makes sure that nobody else has committed, or still can commit,
// what the commit at hand adds. All of its rows are written.
func (c *committer) checkClaims(ctx context.Context) error {
	if len(c.g.claims) == 0 {
		return nil
	}
	// A writer that takes its name after this was read finds the rows.
	snap, err := c.writers(ctx)
	if err != nil {
		return err
	}
	delete(snap, c.opts.Writer)
	if len(snap) == 0 {
		return nil
	}
	rivals, err := c.rivals(ctx)
	if err != nil {
		return err
	}
	overtaken := false
	for r := range rivals {
		committed, err := c.decide(ctx, r)
		if err != nil {
			return err
		}
		overtaken = overtaken || committed
	}
	if overtaken {
		return errOvertaken
	}
	return nil
}

// rivals reads who else has rows of what the commit at hand adds.
func (c *committer) rivals(ctx context.Context) (map[rival]struct{}, error) {
	traces := make([]tracing.TraceID, 0, len(c.g.claims))
	for trace := range c.g.claims {
		traces = append(traces, trace)
	}
	var mu sync.Mutex
	found := map[rival]struct{}{}
	err := each(ctx, len(traces), c.opts.Concurrency, func(ctx context.Context, i int) error {
		claims, isNew := c.g.claims[traces[i]], len(c.g.stored[traces[i]]) == 0
		iter := c.session.Query("SELECT spanid, kind, service_hash, writer, version FROM spans WHERE traceid = ?", traces[i].String()).IterContext(ctx)
		var id spanID
		var r rival
		for iter.Scan(&id.span, &id.kind, &id.service, &r.writer, &r.version) {
			_, same := claims[id]
			if r.writer == c.opts.Writer || !same && !isNew || c.g.snap.visible(r.writer, r.version) {
				continue // the last: it was there when the spans were gathered
			}
			mu.Lock()
			found[r] = struct{}{}
			mu.Unlock()
		}
		return failure(ctx, iter.Close())
	})
	return found, err
}

// decide finds out whether a rival was committed. One that may still be is
// waited for if its writer's name comes first, so that of two one goes on, but
// not for long: it may be dead. Otherwise it is made impossible.
func (c *committer) decide(ctx context.Context, r rival) (committed bool, err error) {
	began := time.Now()
	for {
		w, err := c.readWriter(ctx, r.writer)
		switch {
		case err != nil:
			return false, err
		case w.visible(r.version):
			return true, nil
		case !w.underway(r.version):
			return false, nil
		}
		if r.writer > c.opts.Writer || time.Since(began) > rivalPatience {
			c.opts.Logger.Info("store: another writer has some of the same spans under way", "writer", r.writer)
			if err := c.fence(ctx, r.writer, w.owner, false); err != nil {
				return false, err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return false, failure(ctx, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
