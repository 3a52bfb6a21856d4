// Package deliver is the program deliver: a chart goes into a store, a
// pipeline that deploys it into Spinnaker, and the pipeline is run.
package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/artifact"
	"github.com/opnfv/clover/spinnaker/gate"
	"github.com/opnfv/clover/spinnaker/pipeline"
)

// settings are the flags.
type settings struct {
	chart, bucket  string
	store          artifact.StoreOptions
	secretFile     string
	gate           gate.Options
	tokenFile      string
	pipeline       pipeline.HelmOptions
	account        string // of the artifact
	sets           []string
	dryRun, noWait bool
}

func parse(args []string, stderr io.Writer) (s settings, err error) {
	f := pflag.NewFlagSet("deliver", pflag.ContinueOnError)
	f.StringVar(&s.chart, "chart", "", "`folder` of the chart")
	f.StringVar(&s.store.URL, "s3", "http://minio-service.spinnaker:9000", "`URL` of the S3-compatible store")
	f.StringVar(&s.store.AccessKey, "s3-access-key", os.Getenv("S3_ACCESS_KEY"), "access `key` of the store (default: S3_ACCESS_KEY)")
	f.StringVar(&s.secretFile, "s3-secret-key-file", "", "`file` with the secret key of the store (default: S3_SECRET_KEY of the environment)")
	f.StringVar(&s.bucket, "bucket", "s3-account", "`bucket` for the chart; it is made if it is not there")
	f.StringVar(&s.account, "artifact-account", "my-s3", "Spinnaker's artifact `account` for the store")
	f.StringVar(&s.gate.URL, "gate", "http://spin-gate.spinnaker:8084", "`URL` of Gate")
	f.StringVar(&s.gate.Auth.User, "gate-user", "", "`name` for X-SPINNAKER-USER, where Gate trusts that header")
	f.StringVar(&s.tokenFile, "gate-token-file", "", "`file` with an API token of Spinnaker")
	f.StringVar(&s.pipeline.Application, "application", "demo", "`application` of Spinnaker; it is made if it is not there")
	f.StringVar(&s.pipeline.Name, "pipeline", "deliver", "`name` of the pipeline; it is replaced if it is there")
	f.StringVar(&s.pipeline.Account, "account", "my-kubernetes-account", "Spinnaker's `account` of the cluster to deploy to")
	f.StringVar(&s.pipeline.Release, "release", "", "`name` of the release (default: the application's)")
	f.StringVar(&s.pipeline.Namespace, "namespace", "default", "`namespace` to deploy to")
	f.StringArrayVar(&s.sets, "set", nil, "a value of the chart, `KEY=VALUE` (may be given again)")
	f.BoolVar(&s.dryRun, "dry-run", false, "print the pipeline and do nothing")
	f.BoolVar(&s.noWait, "no-wait", false, "start the pipeline and do not wait for its end")
	err = cli.Parse(f, args, stderr, "Packages a Helm chart, stores it, and has Spinnaker deploy it.\n\nUsage:\n  deliver --chart FOLDER [flags]\n")
	if err == nil && s.chart == "" {
		err = cli.Usagef("--chart FOLDER is needed")
	}
	if err == nil {
		err = s.complete()
	}
	return s, err
}

// complete reads files and values.
func (s *settings) complete() error {
	s.store.SecretKey = spinnaker.NewSecret(os.Getenv("S3_SECRET_KEY"))
	for file, to := range map[string]*spinnaker.Secret{s.secretFile: &s.store.SecretKey, s.tokenFile: &s.gate.Auth.Token} {
		if file == "" {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return cli.Usagef("%w", err)
		}
		*to = spinnaker.NewSecret(strings.TrimSpace(string(data)))
	}
	s.pipeline.Overrides = map[string]any{}
	for _, set := range s.sets {
		key, value, ok := strings.Cut(set, "=")
		if !ok || key == "" {
			return cli.Usagef("--set %q is not KEY=VALUE", set)
		}
		s.pipeline.Overrides[key] = value
	}
	return nil
}

// Run is the program.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	chart := os.DirFS(s.chart)
	if s.dryRun {
		c, err := artifact.Package(chart, io.Discard)
		if err != nil {
			return err
		}
		s.pipeline.Chart = pipeline.S3(s.account, "s3://"+s.bucket+"/"+c.FileName())
		return s.print(stdout)
	}
	store, err := artifact.NewStore(s.store)
	if err != nil {
		return err
	}
	client, err := gate.New(s.gate)
	if err != nil {
		return err
	}
	if err := store.EnsureBucket(ctx, s.bucket); err != nil {
		return err
	}
	if s.pipeline.Chart, err = store.PutChart(ctx, s.account, s.bucket, chart); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "Stored %s\n", s.pipeline.Chart.Reference)
	return s.deliver(ctx, client, stdout)
}

// print writes the pipeline as Spinnaker takes it.
func (s *settings) print(stdout io.Writer) error {
	p := pipeline.HelmPipeline(s.pipeline)
	if err := p.Check(); err != nil {
		return err
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(p)
}

// deliver saves the pipeline and runs it.
func (s *settings) deliver(ctx context.Context, client *gate.Client, stdout io.Writer) error {
	app, name := s.pipeline.Application, s.pipeline.Name
	_, err := client.Application(ctx, app)
	if errors.Is(err, spinnaker.ErrNotFound) {
		err = client.CreateApplication(ctx, gate.Application{Name: app, CloudProvider: "kubernetes"})
	}
	if err != nil {
		return err
	}
	if err := client.SavePipeline(ctx, pipeline.HelmPipeline(s.pipeline)); err != nil {
		return err
	}
	id, err := client.Start(ctx, app, name, gate.Trigger{})
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "Started pipeline %s of application %s, execution %s\n", name, app, id)
	if s.noWait {
		return nil
	}
	seen := map[string]gate.Status{}
	_, err = client.Watch(ctx, id, func(x gate.Execution) {
		for _, stage := range x.Stages {
			if seen[stage.ID] != stage.Status && stage.Status != gate.NotStarted {
				seen[stage.ID] = stage.Status
				fmt.Fprintf(stdout, "%s: %s\n", stage.Name, stage.Status)
			}
		}
	})
	return err
}
