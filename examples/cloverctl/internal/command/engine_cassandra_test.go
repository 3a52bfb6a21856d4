package command

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/cassandra"
	"github.com/opnfv/clover/visibility/sql"
	"github.com/opnfv/clover/visibility/storetest"
)

// TestSparkOverCassandra runs a collector on a real Cassandra, whose tables a
// real Spark SQL server reads, by the program itself; with CLOVER_SPARK=1.
func TestSparkOverCassandra(t *testing.T) {
	testutil.Long(t, "CLOVER_SPARK", "engines-spark")
	program := filepath.Join(t.TempDir(), "clover-spark")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../../clover-spark").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	at := testutil.Cassandra(t, testutil.CassandraOptions{}).Addr
	host, port, err := net.SplitHostPort(at)
	check(t, err)
	number, err := strconv.Atoi(port)
	check(t, err)
	server := testutil.Spark(t, append(sql.CassandraTable{}.Settings(host, number), testutil.SparkConnector(t))...)

	day := time.Now().UTC().Add(-24 * time.Hour).Truncate(time.Hour)
	spans := storetest.RandomSpans(1, 60, day.Add(5*time.Minute), 50*time.Minute)
	store, err := cassandra.Open(t.Context(), cassandra.Options{Hosts: []string{at}, Writer: "test", Timeout: 30 * time.Second})
	check(t, err)
	_, err = store.Write(t.Context(), &visibility.Batch{Source: "test", Spans: spans})
	check(t, err)
	check(t, store.Settle(t.Context()))
	check(t, store.Close())

	address := collector(t, t.TempDir(), "--store", "cassandra", "--cassandra-hosts", at, "--cassandra-writer", "one",
		"--spark-addr", server.Addr, "--spark-data", "cassandra:", "--spark-program", program+" rows")
	for _, more := range []string{"-g service", "-g service,url --sort mean --limit 3", "-g status --step 10m --count spans"} {
		args := append(strings.Fields(more), "--from", day.Format(time.RFC3339), "--to", day.Add(2*time.Hour).Format(time.RFC3339))
		stored, byStore := statsOf(t, address, append(args, "--explain")...)
		read, bySpark := statsOf(t, address, append(args, "--engine", "spark")...)
		if !reflect.DeepEqual(stored, read) || len(stored["groups"].([]any)) == 0 {
			t.Errorf("%s: the store\n%v\nSpark\n%v", more, stored, read)
		}
		if byStore.Engine != "ENGINE_STORE" || !strings.Contains(byStore.Reason, "one by one") || byStore.Spark.Read != fmt.Sprint(len(spans)) {
			t.Errorf("%s: the store explains %+v", more, byStore)
		}
		if bySpark.Engine != "ENGINE_SPARK" || !strings.Contains(bySpark.Reason, "spans of the store itself") || bySpark.Spark.Files != "" {
			t.Errorf("%s: Spark explains %+v", more, bySpark)
		}
	}
}
