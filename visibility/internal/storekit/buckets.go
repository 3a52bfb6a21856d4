package storekit

import (
	"time"

	"github.com/opnfv/clover/visibility"
)

// Levels are the widths of rollup buckets in seconds, from fine to coarse.
// Each divides the next, and every span is in a bucket of each.
var Levels = [...]Level{10, 300, 3600}

// Level is a width of buckets in seconds.
type Level int64

// Floor returns the start of the bucket of a Unix second.
func (l Level) Floor(sec int64) int64 { return sec - sec%int64(l) }

// Ceil returns the first start of a bucket that is not before a Unix second.
func (l Level) Ceil(sec int64) int64 { return l.Floor(sec + int64(l) - 1) }

// Bucket returns the start of t's bucket in Unix seconds.
func (l Level) Bucket(t time.Time) int64 { return l.Floor(t.Unix()) }

// Width is the level as a duration.
func (l Level) Width() time.Duration { return time.Duration(l) * time.Second }

// Piece is a run of buckets of one level.
type Piece struct {
	Level    int
	From, To int64 // Unix seconds
}

// Scope is what a question about rollups reads.
type Scope struct {
	Range           visibility.Range // in whole buckets of Lowest
	Lowest, Highest int              // levels
}

// LowestLevel is the finest level that reaches back to a time. Buckets of the
// finest of all are kept for so long before now; 0 or less: for ever.
func LowestLevel(from, now time.Time, fine time.Duration) int {
	if fine > 0 && from.Before(now.Add(-fine)) {
		return 1
	}
	return 0
}

// ScopeOf returns the scope of a question. Width is that of the steps asked
// for; 0: one for the whole range. For now and fine see [LowestLevel].
func ScopeOf(r visibility.Range, width time.Duration, now time.Time, fine time.Duration) Scope {
	s := Scope{Lowest: LowestLevel(r.From, now, fine), Highest: len(Levels) - 1}
	for s.Highest > s.Lowest && width%Levels[s.Highest].Width() != 0 {
		s.Highest--
	}
	to := r.To.Unix()
	if r.To.Nanosecond() > 0 {
		to++
	}
	l := Levels[s.Lowest]
	s.Range = visibility.Range{From: time.Unix(l.Floor(max(r.From.Unix(), 0)), 0).UTC(), To: time.Unix(l.Ceil(to), 0).UTC()}
	return s
}

// Cover covers the scope from a second on, which is a bound of its lowest
// level, with as coarse buckets as fit.
func (s Scope) Cover(from int64) []Piece { return cover(from, s.Range.To.Unix(), s.Lowest, s.Highest) }

func cover(from, to int64, lowest, highest int) []Piece {
	if from >= to {
		return nil
	}
	for l := highest; l > lowest; l-- {
		a, b := Levels[l].Ceil(from), Levels[l].Floor(to)
		if a >= b {
			continue
		}
		pieces := append(cover(from, a, lowest, l-1), Piece{l, a, b})
		return append(pieces, cover(b, to, lowest, l-1)...)
	}
	return []Piece{{lowest, from, to}}
}
