package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestWrongArguments(t *testing.T) {
	for _, args := range [][]string{{"clover-nothing"}, {"-nonsense"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if err := run(t.Context(), nil, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
		t.Errorf("a time that is none: %v", err)
	}
}

func TestCreated(t *testing.T) {
	if at, err := created("1700000000"); err != nil || !at.Equal(time.Unix(1700000000, 0)) {
		t.Errorf("%v, %v", at, err)
	}
	if at, err := created(""); err != nil || !at.IsZero() {
		t.Errorf("%v, %v", at, err)
	}
}
