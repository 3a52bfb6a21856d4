package spool

import (
	"os"
	"testing"

	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	leak.Main(m)
}
