package visibility

import (
	"testing"
	"time"
)

// onlyOwn shares the services of a source so that one of them is owned.
type onlyOwn string

func (o onlyOwn) Owns(key string) bool     { return key == "jaeger/"+string(o) }
func (o onlyOwn) Changed() <-chan struct{} { return nil }
func (o onlyOwn) Members() []string        { return []string{"this", "other"} }
func (o onlyOwn) Load(string, float64)     {}

// TestSpansOfOthersAreLeftToThem holds which spans of a trace are taken.
func TestSpansOfOthersAreLeftToThem(t *testing.T) {
	p := &tracePuller{c: &Collector{opt: CollectorOptions{Share: onlyOwn("own")}}, cursors: map[string]*cursor{
		"own": {owned: true, listed: true}, "other": {listed: true}, "gone": {},
	}}
	for service, want := range map[string]bool{"own": false, "other": true, "gone": false, "unlisted": false} {
		if got := p.elsewhere(service); got != want {
			t.Errorf("%s is read elsewhere: %v, want %v", service, got, want)
		}
	}
	p.c.opt.Share = nil
	if p.elsewhere("other") {
		t.Error("a collector that does not share leaves spans to another")
	}
}

// TestWatermarkOfAClockAhead holds that what lies before it is read.
func TestWatermarkOfAClockAhead(t *testing.T) {
	now, opt := time.Now(), CollectorOptions{}.withDefaults()
	for _, c := range []struct{ watermark, want time.Duration }{
		{-time.Hour, -time.Hour}, {0, 0}, {time.Second, -10 * time.Minute}, {time.Hour, -10 * time.Minute},
	} {
		if got := believable(now.Add(c.watermark), now, &opt); !got.Equal(now.Add(c.want)) {
			t.Errorf("watermark %v from now: %v, want %v", c.watermark, got.Sub(now), c.want)
		}
	}
}
