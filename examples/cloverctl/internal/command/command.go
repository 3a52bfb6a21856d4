// Package command holds the commands of cloverctl.
package command

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/opnfv/clover/examples/cloverctl/internal/kube"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
)

// Streams are where a command reads and prints.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Program is the name that the program was called by, as a plug-in of
	// kubectl has another; "" is cloverctl.
	Program string
}

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2 // wrong command line, file, filter or range
	exitUnreachable = 3 // the controller or the API server does not answer
	exitNotFound    = 4 // what was asked for does not exist
	exitInterrupted = 130
)

// defaultController is where standalone and the controller listen.
const defaultController = "http://127.0.0.1:32044"

// app is what the commands share.
type app struct {
	Streams
	cluster   *kube.Flags
	connected *kube.Cluster // nil: not yet
	access    access
	output    string
	quiet     bool
	running   bool // the command line has been understood
	timeout   time.Duration
	atTheEnd  []func() // closes what the command has opened
}

func newApp(s Streams) *app {
	s.Program = programName(s.Program)
	return &app{Streams: s, cluster: kube.NewFlags()}
}

// Run runs a command line and returns the exit code.
func Run(ctx context.Context, args []string, s Streams) int {
	a := newApp(s)
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	err := root.ExecuteContext(ctx)
	for _, end := range a.atTheEnd {
		end()
	}
	if err == nil && ctx.Err() == nil {
		return exitOK
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	if !a.running {
		err = usageError{err}
	}
	err = explain(err)
	a.printError(err)
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "cloverctl",
		Short: "Ask and control Clover",
		Long: `cloverctl asks and controls Clover: who talks to whom in a service mesh, how
fast, how often and with which results.

It also installs Clover into a Kubernetes cluster and removes it. The cluster
is chosen as by kubectl: --kubeconfig or KUBECONFIG, --context, -n.

The controller's address comes from --controller, else from CLOVER_CONTROLLER,
else from the key ControllerIP of .cloverctl.yaml in the home folder or beside
the program, else it is found in the cluster (load balancer, NodePort, or a
stream through the API server), else it is ` + defaultController + `.

Exit codes: 0 success, 1 failure, 2 wrong command line, file, filter or range,
3 the controller or the API server does not answer, 4 not found, 5 not in this
release yet, 130 interrupted.`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.timeout <= 0 {
				return usagef("--timeout %v is not longer than 0s", a.timeout)
			}
			a.running = true
			return nil
		},
	}
	flags := root.PersistentFlags()
	a.access.add(flags)
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "do not print where the controller is")
	flags.DurationVar(&a.timeout, "timeout", 30*time.Second, "longest time for an answer")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		verb("create", "Install a part of Clover, or add a rule, a block or a test plan", a.createSystem(), a.createRules(), a.createBlock(),
			a.createProvider(), a.createPipeline(), a.createTestplan()),
		verb("delete", "Remove a part of Clover or a block", a.deleteSystem(), a.deleteBlock(),
			a.deleteProvider(), a.deletePipeline()),
		verb("diff", "Show what create would change", a.diffSystem()),
		verb("init", "Prepare a service for use", a.initVisibility()),
		verb("start", "Start a service", a.startVisibility(), a.startIDS(), a.startPipeline(), a.startTestplan()),
		verb("stop", "Stop a service", a.stopVisibility(), a.stopIDS(), a.stopExecution(), a.stopTestplan()),
		verb("set", "Change a service's configuration",
			a.setVisibility(), a.setLB(), a.setServer(), a.setProxy(), a.setBalancer()),
		verb("undo", "Take the last change back", a.undoLB()),
		verb("get", "Show a service's configuration, statistics and data",
			a.getVisibility(), a.getServices(), a.getLB(), a.getIDS(), a.getBlocklist(),
			a.getProvider(), a.getPipeline(), a.getExecution(), a.getTestplan(), a.getTestruns(), a.getTestresult()),
		verb("clear", "Remove a service's data", a.clearVisibility()),
		verb("export", "Take a service's data out, for another store", a.exportVisibility()),
		verb("import", "Put in what was exported", a.importVisibility()),
		verb("explain", "Show what a file may hold", a.explainTestplan()),
		a.observe(), a.test(), a.systemStatus(), a.check(), a.logs(), a.sysdump(), a.version(),
	)
	a.finish(root)
	return root
}

// verb groups the nouns of a verb.
func verb(use, short string, nouns ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("%s %s is not known; want one of %s", use, args[0], nounsOf(c))
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return usagef("%s what? Want one of %s", use, nounsOf(c)) },
	}
	c.AddCommand(nouns...)
	return c
}

func nounsOf(c *cobra.Command) string {
	var names []string
	for _, n := range c.Commands() {
		names = append(names, n.Name())
	}
	return strings.Join(names, ", ")
}

// addOutput adds -o.
func (a *app) addOutput(c *cobra.Command) {
	c.Flags().StringVarP(&a.output, "output", "o", "table", strings.Join(show.Formats, ", "))
	complete(c, "output", show.Formats)
}

// printer checks -o and decides on colours.
func (a *app) printer() (show.Printer, error) {
	if !slices.Contains(show.Formats, a.output) {
		return show.Printer{}, usagef("--output %q is not known; want %s", a.output, strings.Join(show.Formats, ", "))
	}
	return show.Printer{Out: a.Out, Format: a.output, Color: a.colors(), Width: a.width()}, nil
}

// colors reports whether the output is a terminal whose user has not said no
// (no-color.org).
func (a *app) colors() bool {
	f, ok := a.Out.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// isTerminal reports whether a file is one.
func isTerminal(f *os.File) bool { return os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd())) }

// width returns the width of the terminal; 0: the output is not one.
func (a *app) width() int {
	f, ok := a.Out.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// complete offers fixed values for a flag.
func complete(c *cobra.Command, flag string, values []string) {
	mustRegister(c, flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return values, cobra.ShellCompDirectiveNoFileComp
	})
}

// mustRegister panics if the flag does not exist, which is a fault of the
// program.
func mustRegister(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}
