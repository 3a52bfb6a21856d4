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
	"runtime"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/spanfolder"
	"github.com/opnfv/clover/visibility/parquet"
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

// options are what the flags say.
type options struct {
	job.Options
	submit     job.Submit
	pods       pods.Runner
	addr, user string // of a SQL server
	once       string
	health     string
	level      string
}

func (o *options) add(f *pflag.FlagSet) {
	f.StringVar(&o.Data, "data", "", "`directory` of the Parquet files, or s3://BUCKET/PREFIX (needed)")
	f.StringVar(&o.Results, "results", "", "`directory` of the results (needed)")
	f.StringVar(&o.submit.Home, "spark-home", os.Getenv("SPARK_HOME"), "`directory` of Spark; default $SPARK_HOME; not on Windows")
	f.StringVar(&o.submit.Master, "master", "local[*]", "`URL` of the master, for --spark-home; the driver runs here")
	f.StringArrayVar(&o.submit.Conf, "conf", nil, "a setting of Spark, `KEY=VALUE`, for --spark-home and --pods; may be given again")
	f.StringVar(&o.addr, "spark-addr", "", "`address` of a Spark SQL server that runs the jobs instead; it needs the same directories")
	f.StringVar(&o.user, "spark-user", "", "`user` for --spark-addr")
	addPodFlags(f, &o.pods)
	f.DurationVar(&o.Fast, "fast-interval", 10*time.Second, "`time` from one job to the next")
	f.DurationVar(&o.Full, "full-interval", time.Hour, "`time` from one full job to the next")
	f.DurationVar(&o.Deadline, "deadline", 10*time.Minute, "`time` after which a job is killed")
	f.StringVar(&o.health, "health-addr", "", "`address` of /healthz for a kubelet; none by default")
	f.StringVar(&o.once, "once", "", "run one job, full or fast, and exit")
	f.StringVar(&o.level, "log-level", "info", "debug, info, warn or error")
}

func (o *options) check() error {
	switch {
	case o.Data == "" || o.Results == "":
		return cli.Usagef("--data and --results are needed")
	case o.once != "" && o.once != string(job.Full) && o.once != string(job.Fast):
		return cli.Usagef("--once %q is not full or fast", o.once)
	}
	return nil
}

// runner sets what runs the jobs; end is to be called when it is needed no
// more.
func (o *options) runner() (end func(), err error) {
	end = func() {}
	switch {
	case o.addr != "":
		db, err := spark.Open(spark.Options{Addr: o.addr, User: o.user, Sessions: 1})
		if err != nil {
			return nil, err
		}
		o.Runner, end = job.Server{DB: db}, func() { _ = db.Close() }
	case o.pods.Image != "":
		if o.pods.Conf = o.submit.Conf; o.pods.Claim == "" || o.pods.Mount == "" {
			return nil, cli.Usagef("--pods needs --claim and --mount")
		}
		if o.pods.Client, err = inCluster(); err != nil {
			return nil, err
		}
		o.Runner = &o.pods
	case o.submit.Home != "" && runtime.GOOS == "windows":
		return nil, cli.Usagef("--spark-home does not work on Windows, where a driver cannot be ended for certain; have a Spark SQL server run the jobs with --spark-addr")
	case o.submit.Home != "":
		o.Runner = &o.submit
	default:
		return nil, cli.Usagef("--spark-home, --spark-addr or --pods is needed")
	}
	return end, nil
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	f := pflag.NewFlagSet("clover-spark-submit", pflag.ContinueOnError)
	o.add(f)
	if err := cli.Parse(f, args, stderr, usage); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	end, err := o.runner()
	if err != nil {
		return err
	}
	defer end()
	if o.Logger, err = cli.Logger(o.level, stderr); err != nil {
		return err
	}
	if err := listRemote(&o.Options); err != nil {
		return err
	}
	o.OnRun = func(r job.Record) { report(stdout, r) }
	s, err := job.NewSubmitter(o.Options)
	if err != nil {
		return err
	}
	if o.once != "" {
		_, err = s.RunOnce(ctx, job.Kind(o.once))
		return err
	}
	if o.health == "" {
		return s.Run(ctx)
	}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", o.health)
	if err != nil {
		return fmt.Errorf("--health-addr: %w", err)
	}
	return cli.Probed(ctx, l, alive(), s.Run)
}

// listRemote has the files listed that are in S3, which Spark knows by
// another name.
func listRemote(o *job.Options) error {
	if !spanfolder.Remote(o.Data) {
		return nil
	}
	folder, err := spanfolder.Open(o.Data)
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	_, at, _ := strings.Cut(o.Data, "://")
	o.Data = "s3a://" + strings.TrimSuffix(at, "/")
	o.List = func(ctx context.Context) ([]job.Bucket, error) {
		files, err := folder.List(ctx)
		var buckets []job.Bucket
		for _, f := range files {
			if parquet.IsSpans(f.Name) {
				buckets = append(buckets, job.Bucket{Name: f.Name, Stamp: f.Stamp})
			}
		}
		return buckets, err
	}
	return nil
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
