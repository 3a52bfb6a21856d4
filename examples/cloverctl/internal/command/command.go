// Package command holds the commands of cloverctl.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/grpc/codes"

	"github.com/opnfv/clover/examples/cloverctl/internal/client"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/visibility"
)

// Streams are where a command reads and prints.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2 // wrong command line, file, filter or range
	exitUnreachable = 3 // the controller does not answer
	exitNotFound    = 4 // what was asked for does not exist
	exitInterrupted = 130
)

// defaultController is where standalone and the controller listen.
const defaultController = "http://127.0.0.1:32044"

// app is what the commands share.
type app struct {
	Streams
	controller string
	output     string
	quiet      bool
	running    bool // the command line has been understood
	timeout    time.Duration
}

// Run runs a command line and returns the exit code.
func Run(ctx context.Context, args []string, s Streams) int {
	a := &app{Streams: s}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	err := root.ExecuteContext(ctx)
	if err == nil && ctx.Err() == nil {
		return exitOK
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	if !a.running {
		err = usageError{err}
	}
	printError(s.Err, err)
	return exitCode(err)
}

// printError prints an error. Its text may hold what the mesh has sent, so that
// nothing but its lines is left to the terminal.
func printError(w io.Writer, err error) {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = show.Clean(line)
	}
	fmt.Fprintf(w, "cloverctl: %s\n", strings.Join(lines, "\n"))
}

func exitCode(err error) int {
	var unreachable *client.UnreachableError
	var st *client.StatusError
	switch {
	case errors.As(err, &unreachable):
		return exitUnreachable
	case errors.As(err, &st):
		switch st.Code {
		case codes.InvalidArgument:
			return exitUsage
		case codes.NotFound:
			return exitNotFound
		case codes.Unavailable:
			return exitUnreachable
		}
		return exitFailure
	case errors.As(err, new(usageError)), errors.Is(err, visibility.ErrInvalid):
		return exitUsage
	}
	return exitFailure
}

// usageError is a fault of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "cloverctl",
		Short: "Ask and control Clover",
		Long: `cloverctl asks and controls Clover: who talks to whom in a service mesh, how
fast, how often and with which results.

The controller's address comes from --controller, else from CLOVER_CONTROLLER,
else from the key ControllerIP of .cloverctl.yaml in the home folder or beside
the program, else it is ` + defaultController + `.

Exit codes: 0 success, 1 failure, 2 wrong command line, file, filter or range,
3 the controller does not answer, 4 not found, 130 interrupted.`,
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
	flags.StringVar(&a.controller, "controller", "", "`URL` of the clover-controller")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "do not print where the controller is")
	flags.DurationVar(&a.timeout, "timeout", 30*time.Second, "longest time for an answer")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		verb("init", "Prepare a service for use", a.initVisibility()),
		verb("start", "Start a service", a.startVisibility()),
		verb("stop", "Stop a service", a.stopVisibility()),
		verb("set", "Change a service's configuration", a.setVisibility()),
		verb("get", "Show a service's configuration, statistics and data", a.getVisibility()),
		verb("clear", "Remove a service's data", a.clearVisibility()),
		a.observe(), a.version(),
	)
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

// client returns a client of the controller, after saying where it is.
func (a *app) client() (*client.Client, error) {
	address, file, err := a.address()
	if err != nil {
		return nil, err
	}
	if !a.quiet {
		if file != "" {
			fmt.Fprintf(a.Err, "Using config file: %s\n", file)
		}
		fmt.Fprintf(a.Err, "clover-controller address: %s\n", address)
	}
	return a.clientAt(address), nil
}

func (a *app) clientAt(address string) *client.Client {
	return &client.Client{Address: address, Timeout: a.timeout, HTTP: http.DefaultClient}
}

// address finds the controller, and the configuration file if it is from
// there.
func (a *app) address() (address, file string, err error) {
	address = a.controller
	if address == "" {
		address = os.Getenv("CLOVER_CONTROLLER")
	}
	if address == "" {
		if address, file, err = addressFromFile(); err != nil {
			return "", "", err
		}
	}
	if address == "" {
		return defaultController, "", nil
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", "", usagef("controller address %q is not a URL such as %s", address, defaultController)
	}
	return address, file, nil
}

// addressFromFile reads .cloverctl.yaml.
func addressFromFile() (address, file string, err error) {
	var dirs []string
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, home)
	}
	if self, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(self))
	}
	for _, dir := range dirs {
		file := filepath.Join(dir, ".cloverctl.yaml")
		raw, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", "", err
		}
		var config struct {
			ControllerIP string `yaml:"ControllerIP"`
		}
		if err := yaml.UnmarshalWithOptions(raw, &config); err != nil {
			return "", "", usagef("%s: %w", file, err)
		}
		if config.ControllerIP == "" {
			return "", "", usagef("%s: the key ControllerIP is missing; want e.g. ControllerIP: %s", file, defaultController)
		}
		return config.ControllerIP, file, nil
	}
	return "", "", nil
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
