package jmeter

import "encoding/json"

// sketchForm and resultsForm are the fields that are kept of values whose own
// fields are nobody's business.
type (
	sketchForm struct {
		Zero   int64   `json:"zero,omitempty"`
		Base   int     `json:"base,omitempty"`
		Counts []int64 `json:"counts,omitempty"`
	}
	resultsForm struct {
		All      Stats      `json:"all"`
		Missed   int64      `json:"missed"`
		Begun    int64      `json:"begun"`
		Labels   []*Stats   `json:"labels"`
		Start    int64      `json:"timeline_start"`
		Width    int64      `json:"timeline_width"`
		Timeline []Interval `json:"timeline"`
	}
)

// MarshalJSON writes all that a sketch holds.
func (s Sketch) MarshalJSON() ([]byte, error) {
	return json.Marshal(sketchForm{s.zero, s.base, s.counts})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (s *Sketch) UnmarshalJSON(data []byte) error {
	var f sketchForm
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	*s = Sketch{f.Zero, f.Base, f.Counts}
	return nil
}

// MarshalJSON writes all of the results, so that a program that starts again
// can go on with them. Package report writes those for people.
func (r *Results) MarshalJSON() ([]byte, error) {
	return json.Marshal(resultsForm{r.All, r.Missed, r.Begun, r.Labels(), r.timeline.start, r.timeline.width, r.timeline.counts})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (r *Results) UnmarshalJSON(data []byte) error {
	var f resultsForm
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	*r = Results{All: f.All, Missed: f.Missed, Begun: f.Begun, labels: map[string]*Stats{}, timeline: timeline{f.Start, f.Width, f.Timeline}}
	for _, s := range f.Labels {
		if s != nil {
			r.labels[s.Label] = s
		}
	}
	return nil
}
