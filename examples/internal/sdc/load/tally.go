package load

import (
	"maps"
	"sync"
	"time"
)

// Tally is what a load has counted. Each request is counted once in Sent and
// once in each of the maps.
type Tally struct {
	Sent     int            `json:"sent"`
	ByStatus map[int]int    `json:"by_status"` // 0: no answer
	ByMethod map[string]int `json:"by_method"`
	ByPath   map[string]int `json:"by_path"`
	ByURL    map[string]int `json:"by_url"`
	ByAgent  map[string]int `json:"by_agent"`
	// Seconds is the time of the whole load; the others are those of one
	// request.
	Seconds     float64 `json:"seconds"`
	MinSeconds  float64 `json:"min_seconds"`
	MeanSeconds float64 `json:"mean_seconds"`
	MaxSeconds  float64 `json:"max_seconds"`
}

type tally struct {
	mu       sync.Mutex
	t        Tally
	begun    time.Time
	sum      time.Duration
	min, max time.Duration
}

func (t *tally) init() {
	t.t = Tally{
		ByStatus: map[int]int{}, ByMethod: map[string]int{}, ByPath: map[string]int{},
		ByURL: map[string]int{}, ByAgent: map[string]int{},
	}
}

func (t *tally) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun = time.Now()
}

func (t *tally) add(r request, status int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.t.Sent++
	t.t.ByStatus[status]++
	t.t.ByMethod[r.method]++
	t.t.ByPath[r.path]++
	t.t.ByURL[r.url]++
	t.t.ByAgent[r.agent]++
	t.sum += took
	t.max = max(t.max, took)
	if t.t.Sent == 1 || took < t.min {
		t.min = took
	}
	t.t.Seconds = time.Since(t.begun).Seconds()
}

// Tally returns what was counted so far. Safe for concurrent use.
func (g *Generator) Tally() Tally {
	t := &g.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.t
	c.ByStatus, c.ByMethod, c.ByPath = maps.Clone(c.ByStatus), maps.Clone(c.ByMethod), maps.Clone(c.ByPath)
	c.ByURL, c.ByAgent = maps.Clone(c.ByURL), maps.Clone(c.ByAgent)
	c.MinSeconds, c.MaxSeconds = t.min.Seconds(), t.max.Seconds()
	if c.Sent > 0 {
		c.MeanSeconds = t.sum.Seconds() / float64(c.Sent)
	}
	return c
}
