package jmeter_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// TestResultsAsJSON holds that nothing of the numbers is lost on disk.
func TestResultsAsJSON(t *testing.T) {
	r := &jmeter.Results{Missed: 3, Begun: 7}
	start := time.UnixMilli(1795666012791).UTC()
	for i := range 500 {
		r.Add(&jmeter.Sample{
			Start: start.Add(time.Duration(i) * time.Second), Elapsed: time.Duration(i*i) * time.Microsecond, Label: []string{"a", "b"}[i%2],
			Code: "200", Success: i%3 > 0, Message: "OK", Bytes: int64(i), Transaction: i%7 == 0,
		})
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	back := &jmeter.Results{}
	if err := json.Unmarshal(data, back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back.Labels(), r.Labels()) || !reflect.DeepEqual(back.All, r.All) || !reflect.DeepEqual(back.Timeline(), r.Timeline()) ||
		back.Missed != r.Missed || back.Begun != r.Begun {
		t.Errorf("got\n%+v\nwant\n%+v", back, r)
	}
	back.Merge(r) // it goes on
	if back.All.Count != 2*r.All.Count || back.All.Latency.Count() != 2*r.All.Latency.Count() {
		t.Error(back.All.Count)
	}
}
