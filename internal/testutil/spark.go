package testutil

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/components"
)

// sparkReady is how long a server of Spark may take to start.
const sparkReady = 10 * time.Minute

// SparkHome returns the folder of a Spark, which has bin/spark-submit, and
// sees to it that there is a Java to run it.
func SparkHome(t testing.TB) string {
	t.Helper()
	submit := Require(t, components.Spark())
	if err := components.EnsureJava(t.Context(), os.Stderr); err != nil {
		Missing(t, components.Spark().Name, err.Error())
	}
	return filepath.Dir(filepath.Dir(submit))
}

// SparkConf are settings with which a Spark of two threads and little memory
// keeps to itself: on loopback, with no page, and all its files in dir.
func SparkConf(dir string) []string {
	return []string{
		"spark.master=local[2]",
		"spark.driver.memory=1g",
		"spark.ui.enabled=false",
		"spark.driver.host=127.0.0.1",
		"spark.driver.bindAddress=127.0.0.1",
		"spark.sql.shuffle.partitions=2",
		"spark.sql.session.timeZone=UTC",
		"spark.local.dir=" + filepath.Join(dir, "local"),
		"spark.sql.warehouse.dir=" + filepath.Join(dir, "warehouse"),
		"spark.hadoop.javax.jdo.option.ConnectionURL=jdbc:derby:memory:metastore;create=true",
		"spark.driver.extraJavaOptions=-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.io.tmpdir=" + dir + " -Dderby.stream.error.file=" + filepath.Join(dir, "derby.log"),
	}
}

// SparkServer is a running Spark SQL server (HiveThriftServer2).
type SparkServer struct {
	// Addr is "127.0.0.1:PORT", where HiveServer2's protocol is spoken.
	Addr string

	process *Process
}

// SparkConnector returns the setting, KEY=VALUE, by which a Spark has the jars
// of the Spark Cassandra Connector.
func SparkConnector(t testing.TB) string {
	t.Helper()
	jars, err := filepath.Glob(filepath.Join(filepath.Dir(Require(t, components.SparkConnector())), "*.jar"))
	if err != nil {
		t.Fatalf("spark: %v", err)
	}
	return "spark.jars=" + strings.Join(jars, ",")
}

// Spark runs a real Spark SQL server with two threads until the end of the
// test, with further settings, each KEY=VALUE. It takes connections when it
// returns, which takes 15 s or more: let the tests of a package share one.
func Spark(t testing.TB, settings ...string) *SparkServer {
	t.Helper()
	home := SparkHome(t)
	addr := FreeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatalf("spark: %v", err)
	}
	dir := t.TempDir()
	var args []string
	for _, setting := range append(SparkConf(dir), settings...) {
		args = append(args, "--conf", setting)
	}
	args = append(args, "--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2", "spark-internal",
		"--hiveconf", "hive.server2.thrift.bind.host=127.0.0.1", "--hiveconf", "hive.server2.thrift.port="+port)
	s := &SparkServer{Addr: addr}
	s.process = Start(t, Command{
		Name: "spark", Path: filepath.Join(home, "bin", "spark-submit"), Args: args, Dir: dir,
		Env: []string{"SPARK_HOME=" + home, "SPARK_LOCAL_IP=127.0.0.1"},
	})
	s.process.WaitReady(sparkReady, s.connect)
	return s
}

func (s *SparkServer) connect(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// PID is that of the server.
func (s *SparkServer) PID() int { return s.process.PID() }

// Errors returns the lines of the server's log that speak of errors.
func (s *SparkServer) Errors() string {
	var lines []string
	for line := range strings.Lines(s.process.Log()) {
		if strings.Contains(line, " ERROR ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
