package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/visibility"
)

// message is an answer that says what was done.
type message interface {
	proto.Message
	GetMessage() string
}

// send changes something and prints what the answer says.
func (a *app) send(c *cobra.Command, method, route string, in proto.Message, out message) error {
	cl, err := a.client(c.Context())
	if err != nil {
		return err
	}
	if _, err := cl.Send(c.Context(), method, route, in, out); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.Out, out.GetMessage())
	return err
}

func (a *app) initVisibility() *cobra.Command {
	return &cobra.Command{
		Use: "visibility", Short: "Prepare the store; may be done again", Args: cobra.NoArgs,
		Example: "  cloverctl init visibility",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.send(c, "POST", "init", &v1.InitRequest{}, &v1.InitResponse{})
		},
	}
}

func (a *app) startVisibility() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "visibility", Short: "Start collecting", Args: cobra.NoArgs,
		Example: "  cloverctl start visibility -f start_visibility.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			req := &v1.StartRequest{}
			if file != "" {
				change, err := readChange(file, a.In)
				if err != nil {
					return err
				}
				req.Change = change
			}
			return a.send(c, "POST", "start", req, &v1.StartResponse{})
		},
	}
	c.Flags().StringVarP(&file, "filename", "f", "", "`file` with sample_interval, t_host, t_port, m_host, m_port; - is standard input")
	return c
}

func (a *app) stopVisibility() *cobra.Command {
	return &cobra.Command{
		Use: "visibility", Short: "Stop collecting; what was collected stays", Args: cobra.NoArgs,
		Example: "  cloverctl stop visibility",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.send(c, "POST", "stop", &v1.StopRequest{}, &v1.StopResponse{})
		},
	}
}

func (a *app) setVisibility() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "visibility", Short: "Choose services to track and metrics to read", Args: cobra.NoArgs,
		Example: "  cloverctl set visibility -f set_visibility.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "" {
				return usagef("set visibility: -f FILE is needed")
			}
			change, err := readChange(file, a.In)
			if err != nil {
				return err
			}
			return a.send(c, "PATCH", "config", change, &v1.UpdateConfigResponse{})
		},
	}
	c.Flags().StringVarP(&file, "filename", "f", "", "`file` with services, metric_prefixes, metric_suffixes, custom_metrics; - is standard input")
	return c
}

// readChange reads a configuration file. Its faults are told before anything
// is sent.
func readChange(file string, stdin io.Reader) (*v1.ConfigChange, error) {
	var raw []byte
	var err error
	if file == "-" {
		raw, err = io.ReadAll(io.LimitReader(stdin, 1<<20))
	} else {
		raw, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, usageError{err}
	}
	u, err := visibility.ParseConfig(raw)
	if err != nil {
		return nil, usagef("%s: %w", file, err)
	}
	change := &v1.ConfigChange{
		Services: list(u.Services), MetricPrefixes: list(u.MetricPrefixes), MetricSuffixes: list(u.MetricSuffixes),
		CustomMetrics: list(u.CustomMetrics), TracingUrls: list(u.Tracing), MonitoringUrl: u.Monitoring,
	}
	if u.SampleInterval != 0 {
		change.SampleInterval = durationpb.New(u.SampleInterval.Duration())
	}
	return change, nil
}

// list keeps apart a list that is not given from an empty one.
func list(items []string) *v1.StringList {
	if items == nil {
		return nil
	}
	return &v1.StringList{Items: items}
}

func (a *app) clearVisibility() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "visibility", Short: "Remove collected traces, spans and metrics", Args: cobra.NoArgs,
		Example: "  cloverctl clear visibility\n  cloverctl clear visibility --yes",
		RunE: func(c *cobra.Command, _ []string) error {
			if f, ok := a.In.(*os.File); ok && !yes && term.IsTerminal(int(f.Fd())) {
				if err := confirm(c.Context(), a.In, a.Err, "Remove all collected visibility data?"); err != nil {
					return err
				}
			}
			return a.send(c, "POST", "clear", &v1.ClearRequest{}, &v1.ClearResponse{})
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

// errDeclined says that the user has said no.
var errDeclined = errors.New("nothing was done; answer y, or give --yes")

// confirm asks a question. It does not wait for an answer after ctx has ended:
// the reader of a terminal cannot be interrupted, so it is left behind.
func confirm(ctx context.Context, in io.Reader, out io.Writer, question string) error {
	fmt.Fprintf(out, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() {
		text, err := bufio.NewReader(in).ReadString('\n')
		if err != nil {
			text = ""
		}
		answer <- strings.ToLower(strings.TrimSpace(text))
	}()
	select {
	case text := <-answer:
		if text == "y" || text == "yes" {
			return nil
		}
		return errDeclined
	case <-ctx.Done():
		fmt.Fprintln(out)
		return ctx.Err()
	}
}
