package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/strvals"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/yaml"

	"github.com/opnfv/clover/deploy"
	"github.com/opnfv/clover/examples/cloverctl/internal/system"
)

// defaultWait bounds --wait.
const defaultWait = 5 * time.Minute

// systemFlags are what create and diff have in common.
type systemFlags struct {
	tag, registry string
	size, store   string
	collectors    int
	files, sets   []string
	force         bool
}

func (f *systemFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVarP(&f.tag, "tag", "t", "", "`tag` of the images (default: of this release)")
	flags.StringVarP(&f.registry, "registry", "r", "", "what stands before the images' names, e.g. opnfv")
	flags.StringArrayVarP(&f.files, "filename", "f", nil, "`file` with values of the chart; - is standard input (may be given again)")
	flags.StringArrayVar(&f.sets, "set", nil, "one value of the chart, as `key=value` (may be given again)")
	flags.BoolVar(&f.force, "force-conflicts", false, "take over what others have changed or made")
	flags.StringVar(&f.size, "size", "", "what it asks for: "+strings.Join(deploy.Sizes(), ", ")+" (default: the first)")
	flags.StringVar(&f.store, "store", "", "where collectors keep data: embedded (one collector, on its volume) or cassandra, which is created too")
	flags.IntVar(&f.collectors, "collectors", 0, "`number` of collectors, which share the services (default: 1)")
	complete(c, "size", deploy.Sizes())
	complete(c, "store", []string{"embedded", "cassandra"})
}

// check looks at the flags that not all systems have.
func (f *systemFlags) check(s system.System) error {
	collects := s.Name == "visibility" || s.Name == "collector"
	switch {
	case f.size != "" && !slices.Contains(deploy.Sizes(), f.size):
		return usagef("--size %s is not known; want one of %s", f.size, strings.Join(deploy.Sizes(), ", "))
	case (f.store != "" || f.collectors != 0) && !collects:
		return usagef("--store and --collectors are of the systems visibility and collector; system %s has no store", s.Name)
	case f.collectors < 0:
		return usagef("--collectors %d; want 1 or more", f.collectors)
	}
	return nil
}

// options reads the values: those of later files win, then those of the flags,
// then those of --set.
func (f *systemFlags) options(s system.System, namespace string, stdin io.Reader) (system.Options, error) {
	if err := f.check(s); err != nil {
		return system.Options{}, err
	}
	values := map[string]any{}
	for _, file := range f.files {
		raw, err := readFile(file, stdin)
		if err != nil {
			return system.Options{}, usageError{err}
		}
		var part map[string]any
		if err := yaml.UnmarshalStrict(raw, &part); err != nil {
			return system.Options{}, usagef("%s: %w", file, err)
		}
		values = loader.MergeMaps(values, part)
	}
	for _, set := range append(f.collecting(), f.sets...) {
		if err := strvals.ParseInto(set, values); err != nil {
			return system.Options{}, usagef("--set %s: %w", set, err)
		}
	}
	return system.Options{Namespace: namespace, Registry: f.registry, Tag: f.tag, Size: f.size, Values: values, Force: f.force}, nil
}

// collecting are the values that --store and --collectors stand for.
func (f *systemFlags) collecting() (sets []string) {
	if f.store != "" {
		sets = append(sets, "collector.store="+f.store)
	}
	if f.collectors != 0 {
		sets = append(sets, fmt.Sprintf("collector.replicas=%d", f.collectors))
	}
	return sets
}

// maxFile bounds a file of values.
const maxFile = 1 << 20

func readFile(file string, stdin io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(io.LimitReader(stdin, maxFile))
	}
	return os.ReadFile(file)
}

// systemArgs checks and completes the names of systems.
func systemArgs(c *cobra.Command) {
	c.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("which system? Want one of %s", strings.Join(systemNames(), ", "))
		}
		if _, err := system.Find(strings.Join(args, " ")); err != nil {
			return usageError{err}
		}
		return nil
	}
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var words []string
		for _, s := range system.Systems() {
			parts := strings.Fields(s.Name)
			if len(parts) == len(args)+1 && slices.Equal(parts[:len(args)], args) {
				words = append(words, cobra.CompletionWithDesc(parts[len(args)], s.Summary))
			}
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

func systemNames() []string {
	var names []string
	for _, s := range system.Systems() {
		names = append(names, s.Name)
	}
	return names
}

// systemsHelp lists the systems for a command's help.
func systemsHelp() string {
	var b strings.Builder
	for _, s := range system.Systems() {
		fmt.Fprintf(&b, "\n  %-20s %s", s.Name, s.Summary)
	}
	return b.String()
}

// dryRuns are the values of --dry-run.
var dryRuns = []string{"none", "client", "server"}

// create is one run of create system.
type create struct {
	*app
	system  system.System
	options system.Options
	dryRun  string
	output  string
	wait    bool
	within  time.Duration
}

func (a *app) createSystem() *cobra.Command {
	var f systemFlags
	r := create{app: a}
	c := &cobra.Command{
		Use: "system NAME", Short: "Install a system, or bring one up to date",
		Long: `Installs a system, or brings one up to date: what is there already and as it
should be stays as it is, what is missing or different is mended.

The systems are` + systemsHelp(),
		Example: `  cloverctl create system visibility --wait
  cloverctl create system controller nodeport
  cloverctl create system visibility --store cassandra --collectors 3 --size small
  cloverctl create system collector -t v1.2.0 -r registry.example/clover --set collector.storage.size=50Gi
  cloverctl create system visibility --dry-run=client -o yaml`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			if r.system, err = system.Find(strings.Join(args, " ")); err != nil {
				return err
			}
			if r.options, err = f.options(r.system, a.cluster.Namespace(""), a.In); err != nil {
				return err
			}
			return r.run(c.Context())
		},
	}
	f.add(c)
	systemArgs(c)
	flags := c.Flags()
	flags.StringVar(&r.dryRun, "dry-run", "none", "none, client (only print) or server (let the API server check)")
	flags.Lookup("dry-run").NoOptDefVal = "client"
	flags.StringVarP(&r.output, "output", "o", "", "print the objects as yaml, json or name")
	flags.BoolVar(&r.wait, "wait", false, "wait until all pods are ready; end at once when one cannot become so")
	flags.DurationVar(&r.within, "wait-timeout", defaultWait, "longest time for --wait")
	complete(c, "dry-run", dryRuns)
	complete(c, "output", []string{"yaml", "json", "name"})
	return c
}

func (r *create) run(ctx context.Context) error {
	print, err := r.printer()
	if err != nil {
		return err
	}
	if !slices.Contains(dryRuns, r.dryRun) {
		return usagef("--dry-run=%s is not known; want %s", r.dryRun, strings.Join(dryRuns, ", "))
	}
	if r.output == "" {
		r.sayConfigFile()
		fmt.Fprintf(r.Out, "Creating %s\n", r.system.Title)
	}
	if r.dryRun == "client" {
		return r.render(ctx, print)
	}
	c, err := r.connect()
	if err != nil {
		return err
	}
	in := &system.Installer{Cluster: c}
	plan, err := r.plan(ctx, in)
	if err != nil {
		return err
	}
	if err := in.Permit(ctx, plan); err != nil {
		return err
	}
	if err := in.Apply(ctx, plan, r.dryRun == "server", print); err != nil {
		return err
	}
	if r.dryRun == "server" || !r.wait {
		return nil
	}
	return r.await(ctx, in, plan)
}

// sayConfigFile names the configuration file, if there is one, as every
// command did in 2019. Nothing of it is needed here.
func (r *create) sayConfigFile() {
	if _, file, err := addressFromFile(); err == nil && file != "" && !r.quiet {
		fmt.Fprintf(r.Err, "Using config file: %s\n", file)
	}
}

// plan waits for a namespace that is being deleted before it plans.
func (r *create) plan(ctx context.Context, in *system.Installer) (*system.Plan, error) {
	plan, err := in.Plan(ctx, r.system, r.options)
	if !errors.Is(err, system.ErrTerminating) {
		return plan, err
	}
	namespace := r.options.Namespace
	if namespace == "" {
		namespace = r.system.DefaultNamespace()
	}
	fmt.Fprintf(r.Err, "Waiting for the end of namespace %s, which is being deleted\n", namespace)
	ctx, cancel := context.WithTimeout(ctx, r.within)
	defer cancel()
	if err := in.AwaitNamespace(ctx, namespace); err != nil {
		return nil, fmt.Errorf("namespace %s does not end: %w", namespace, err)
	}
	return in.Plan(ctx, r.system, r.options)
}

func (r *create) await(ctx context.Context, in *system.Installer, plan *system.Plan) error {
	ctx, cancel := context.WithTimeout(ctx, r.within)
	defer cancel()
	return in.Await(ctx, plan.Namespace, plan.Components(), func(text string) { fmt.Fprintln(r.Err, text) })
}

// render prints what would be applied to an empty cluster.
func (r *create) render(ctx context.Context, print func(system.Result) error) error {
	objects, err := system.Render(ctx, nil, r.system, r.options)
	if err != nil {
		return err
	}
	for _, u := range objects {
		if err := print(system.Result{Action: system.Created, Object: u}); err != nil {
			return err
		}
	}
	return nil
}

// printer returns what prints a result: a line for people, or the object.
func (r *create) printer() (func(system.Result) error, error) {
	if r.output != "" {
		return objectPrinter(r.Out, r.output)
	}
	note := ""
	if r.dryRun == "client" || r.dryRun == "server" {
		note = " (dry run)"
	}
	return func(res system.Result) error { return printResult(r.Out, res, note) }, nil
}

// printResult prints a line for an object, and one for each image.
func printResult(out io.Writer, r system.Result, note string) error {
	if r.Unchecked {
		note = " (dry run, not checked: its namespace is not there yet)"
	}
	if _, err := fmt.Fprintln(out, r.Line()+note); err != nil {
		return err
	}
	if r.Action == system.Deleted {
		return nil
	}
	for _, image := range system.Images(r.Object) {
		if _, err := fmt.Fprintf(out, "Image: %s\n", image); err != nil {
			return err
		}
	}
	return nil
}

// objectPrinter prints objects as kubectl does.
func objectPrinter(out io.Writer, format string) (func(system.Result) error, error) {
	flags := genericclioptions.NewPrintFlags("")
	flags.OutputFormat = &format
	p, err := flags.ToPrinter()
	if err != nil {
		return nil, usagef("-o: %w", err)
	}
	return func(r system.Result) error {
		u := r.Object.DeepCopy()
		unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
		return p.PrintObj(u, out)
	}, nil
}

func (a *app) diffSystem() *cobra.Command {
	var f systemFlags
	c := &cobra.Command{
		Use: "system NAME", Short: "Show what create system would change",
		Long: `Shows what create system would change, as a unified diff from what the cluster
holds to what it would hold. Exit codes: 0 nothing, 1 something, others as
everywhere, but a failure is 2.`,
		Example: "  cloverctl diff system visibility -t v1.2.0",
		RunE: func(c *cobra.Command, args []string) error {
			s, err := system.Find(strings.Join(args, " "))
			if err != nil {
				return err
			}
			o, err := f.options(s, a.cluster.Namespace(""), a.In)
			if err != nil {
				return err
			}
			return a.diff(c.Context(), s, o)
		},
	}
	f.add(c)
	systemArgs(c)
	return c
}

// diffFailed is the exit code for a failure of diff, where exitFailure says
// that there are differences.
const diffFailed = 2

func (a *app) diff(ctx context.Context, s system.System, o system.Options) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	in := &system.Installer{Cluster: c}
	text, err := in.Diff(ctx, s, o)
	if err != nil {
		if err = explain(err); exitCode(err) != exitFailure {
			return err
		}
		a.printError(err)
		return silentError{diffFailed}
	}
	if text == "" {
		return nil
	}
	if _, err := io.WriteString(a.Out, text); err != nil {
		return err
	}
	return silentError{exitFailure}
}
