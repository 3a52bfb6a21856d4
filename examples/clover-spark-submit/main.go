// Command clover-spark-submit has Spark analyse spans again and again, by jobs
// named clover-spark and clover-spark-fast.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/visibility/spark"
	"github.com/opnfv/clover/visibility/spark/job"
	"github.com/opnfv/clover/visibility/spark/job/pods"
)

func main() { cli.Main("clover-spark-submit", run) }

const usage = `Has Spark sum up the spans in Parquet files, again and again: all of them by the
job clover-spark, those that are new by clover-spark-fast. Never two at once; one
that fails or hangs is run again.

Usage:
  clover-spark-submit --data DIR --results DIR [--spark-home DIR | --spark-addr HOST:PORT | --pods IMAGE] [flags]
`

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o job.Options
	var submit job.Submit
	var inPods pods.Runner
	var addr, user, once, health, level string
	f := pflag.NewFlagSet("clover-spark-submit", pflag.ContinueOnError)
	f.StringVar(&o.Data, "data", "", "`directory` of the Parquet files (needed)")
	f.StringVar(&o.Results, "results", "", "`directory` of the results (needed)")
	f.StringVar(&submit.Home, "spark-home", os.Getenv("SPARK_HOME"), "`directory` of Spark; default $SPARK_HOME")
	f.StringVar(&submit.Master, "master", "local[*]", "`URL` of the master, for --spark-home; the driver runs here")
	f.StringArrayVar(&submit.Conf, "conf", nil, "a setting of Spark, `KEY=VALUE`, for --spark-home and --pods; may be given again")
	f.StringVar(&addr, "spark-addr", "", "`address` of a Spark SQL server that runs the jobs instead; it needs the same directories")
	f.StringVar(&user, "spark-user", "", "`user` for --spark-addr")
	addPodFlags(f, &inPods)
	f.DurationVar(&o.Fast, "fast-interval", 10*time.Second, "`time` from one job to the next")
	f.DurationVar(&o.Full, "full-interval", time.Hour, "`time` from one full job to the next")
	f.DurationVar(&o.Deadline, "deadline", 10*time.Minute, "`time` after which a job is killed")
	f.StringVar(&health, "health-addr", "", "`address` of /healthz for a kubelet; none by default")
	f.StringVar(&once, "once", "", "run one job, full or fast, and exit")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	err := cli.Parse(f, args, stderr, usage)
	if err != nil {
		return err
	}
	switch {
	case o.Data == "" || o.Results == "":
		return cli.Usagef("--data and --results are needed")
	case once != "" && once != string(job.Full) && once != string(job.Fast):
		return cli.Usagef("--once %q is not full or fast", once)
	case addr != "":
		db, err := spark.Open(spark.Options{Addr: addr, User: user, Sessions: 1})
		if err != nil {
			return err
		}
		defer func() { _ = db.Close() }()
		o.Runner = job.Server{DB: db}
	case inPods.Image != "":
		if inPods.Conf = submit.Conf; inPods.Claim == "" || inPods.Mount == "" {
			return cli.Usagef("--pods needs --claim and --mount")
		}
		if inPods.Client, err = inCluster(); err != nil {
			return err
		}
		o.Runner = &inPods
	case submit.Home != "":
		o.Runner = &submit
	default:
		return cli.Usagef("--spark-home, --spark-addr or --pods is needed")
	}
	if o.Logger, err = cli.Logger(level, stderr); err != nil {
		return err
	}
	o.OnRun = func(r job.Record) { report(stdout, r) }
	s, err := job.NewSubmitter(o)
	if err != nil {
		return err
	}
	if once != "" {
		_, err = s.RunOnce(ctx, job.Kind(once))
		return err
	}
	if health == "" {
		return s.Run(ctx)
	}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", health)
	if err != nil {
		return fmt.Errorf("--health-addr: %w", err)
	}
	return cli.Probed(ctx, l, alive(), s.Run)
}

// alive answers a kubelet: jobs that fail are tried again, so there is nothing
// that a restart would mend.
func alive() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	return mux
}

// report prints what became of a run.
func report(w io.Writer, r job.Record) {
	// Nobody may read it.
	_, _ = fmt.Fprintf(w, "%s %s %s: attempt %d, %d buckets, %d spans, %.1f s\n",
		r.Kind.Name(), r.ID, r.Outcome, r.Attempt, r.Buckets, r.Spans, r.Seconds)
}
