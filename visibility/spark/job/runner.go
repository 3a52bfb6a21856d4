package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Task is what a Runner has to run.
type Task struct {
	Name      string // the application's name in Spark
	ID        string // of the run: 32 hexadecimal digits
	Statement string // one statement of SQL
	Dir       string // an empty folder for the runner's files
}

// Runner runs a statement in Spark. Run returns when the statement has ended
// and nothing of it goes on, also when ctx ends.
type Runner interface {
	Run(ctx context.Context, t Task) error
}

// Submit runs each job as a Spark application of its own, by spark-submit. The
// driver runs on this machine, in a process group that ends with the context.
type Submit struct {
	// Home is SPARK_HOME: it has bin/spark-submit.
	Home string
	// Master is the URL of the master. "": local[*].
	Master string
	// Conf are further settings, KEY=VALUE.
	Conf []string

	started func(pid int) // for tests
}

// submitConf are settings for a job: no page, and a catalogue in memory that
// it does not need.
var submitConf = []string{
	"spark.ui.enabled=false",
	"spark.sql.session.timeZone=UTC",
	"spark.hadoop.javax.jdo.option.ConnectionURL=jdbc:derby:memory:metastore;create=true",
}

// Args are the arguments of spark-submit for a task. The last two of them are
// where its statement is: "-f" and a file, or "-e" and itself.
func (s *Submit) Args(t Task, option, statement string) []string {
	master := s.Master
	if master == "" {
		master = "local[*]"
	}
	args := []string{"--master", master, "--name", t.Name}
	for _, c := range append(append([]string{}, submitConf...), s.Conf...) {
		args = append(args, "--conf", c)
	}
	return append(args, "--class", "org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver", "spark-internal", option, statement)
}

// keptOutput is how much of what Spark prints last is in an error, in bytes.
const keptOutput = 2000

// Run implements [Runner].
func (s *Submit) Run(ctx context.Context, t Task) error {
	file := filepath.Join(t.Dir, "job.sql")
	if err := os.WriteFile(file, []byte(t.Statement), 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(t.Dir, "spark.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, filepath.Join(s.Home, "bin", "spark-submit"), s.Args(t, "-f", file)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.Dir, log, log
	cmd.Env = append(os.Environ(), "SPARK_HOME="+s.Home)
	cmd.WaitDelay = 10 * time.Second
	if err := runGroup(cmd, s.started); err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("spark-submit: %w; is %s the folder of a Spark?", err, s.Home)
		}
		return fmt.Errorf("spark-submit: %w: %s", err, tail(log.Name()))
	}
	return nil
}

// tail returns the end of a file.
func tail(name string) string {
	data, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(data[max(0, len(data)-keptOutput):]))
}

// Querier runs statements; spark.DB is one.
type Querier interface {
	Query(ctx context.Context, statement string, yield func(row []any) error) error
}

// Server runs the jobs in a Spark SQL server that is there already, which
// saves the start of an application. The server's user writes the results, so
// it needs the same folders under the same names.
type Server struct{ DB Querier }

// Run implements [Runner].
func (s Server) Run(ctx context.Context, t Task) error {
	statement := strings.TrimSuffix(strings.TrimSpace(t.Statement), ";")
	return s.DB.Query(ctx, statement, func([]any) error { return nil })
}
