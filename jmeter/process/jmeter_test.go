package process_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/jmeter/process"
	"github.com/opnfv/clover/jmeter/runnertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuite(t *testing.T) {
	runnertest.Suite(t, &process.JMeter{Home: testutil.JMeter(t), JVMArgs: []string{"-Xmx512m"}, Log: t.Output()})
}
