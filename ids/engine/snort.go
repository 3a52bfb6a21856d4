package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// snortName is how messages name the engine.
const snortName = "Snort"

// reloadPoll is how often the output of an engine is looked at.
const reloadPoll = 20 * time.Millisecond

// snortFields are the fields of alert_json that Clover's alerts have.
const snortFields = "seconds timestamp pkt_num proto pkt_gen pkt_len dir src_addr src_port dst_addr dst_port " +
	"icmp_type icmp_code gid sid rev rule msg class priority action service iface mpls vlan b64_data"

// SnortOptions says how Snort runs.
type SnortOptions struct {
	// Program is the program and what stands before its own arguments; empty
	// is "snort".
	Program []string
	// Config is the configuration, a file in Lua. It has the variables, the
	// classes and all that is not rules or the output of alerts.
	Config string
	// Interfaces are the network interfaces looked at. None is an error.
	Interfaces []string
	// LogDir is where the engine writes logs; empty is "log" in the home.
	// Alerts are in its file alert_json.txt.
	LogDir string
	// Stopped leaves the engine stopped until Start is called.
	Stopped bool
	// Logger nil is silence.
	Logger *slog.Logger
}

// Snort is Snort 3, controlled by its command line, signals and output. It
// has been tested with a program that stands in for it and behaves as its
// manual and its sources say, not with Snort itself. Stats has the time since
// the start and the rules only; Counts are what Snort has printed when it
// loaded them last.
type Snort struct {
	*process
	*ruleSet
	options SnortOptions
	home    string
	rules   ruleFile
}

var _ Engine = (*Snort)(nil)

// NewSnort returns an engine whose files are in the folder home, which is
// made: rules "clover.rules" and logs. Rules that are there already stay. The
// program is not run before Run or Replace.
func NewSnort(home string, o SnortOptions) (*Snort, error) {
	home, err := filepath.Abs(home)
	if err != nil {
		return nil, err
	}
	if len(o.Interfaces) == 0 {
		return nil, errors.New("snort: no interface to look at: set Interfaces")
	}
	if o.Config == "" {
		return nil, errors.New("snort: no configuration: set Config to the path of snort.lua")
	}
	if len(o.Program) == 0 {
		o.Program = []string{"snort"}
	}
	o.LogDir = cmp.Or(o.LogDir, filepath.Join(home, "log"))
	s := &Snort{options: o, home: home, rules: ruleFile{filepath.Join(home, "clover.rules")}}
	for _, dir := range []string{home, o.LogDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if err := s.rules.ensure(); err != nil {
		return nil, err
	}
	s.process = newProcess(program{
		name: snortName, command: s.command, ready: s.ready, quit: s.quit, clear: s.clear,
	}, o.Stopped, o.Logger)
	s.ruleSet = &ruleSet{loading: &s.process.loading, file: s.rules, test: s.test, running: func() bool { return s.State().Running }, reload: s.reload}
	return s, nil
}

// AlertFile is the file that alerts are written to, as alert_json.
func (s *Snort) AlertFile() string { return filepath.Join(s.options.LogDir, "alert_json.txt") }

func (s *Snort) program(ctx context.Context, args ...string) *exec.Cmd {
	all := append(append([]string{}, s.options.Program[1:]...), args...)
	return exec.CommandContext(ctx, s.options.Program[0], all...)
}

func (s *Snort) command(ctx context.Context) (*exec.Cmd, error) {
	args := []string{
		"-c", s.options.Config, "-R", s.rules.path, "-l", s.options.LogDir, "-k", "none", "-A", "alert_json",
		"--lua", `alert_json = { file = true, fields = "` + snortFields + `" }`,
	}
	for _, name := range s.options.Interfaces {
		args = append(args, "-i", name)
	}
	return s.program(ctx, args...), nil
}

// snortVersion is in the banner.
var snortVersion = regexp.MustCompile(`Snort\+\+[ \t]*v?([0-9][0-9.]*)|Version ([0-9][0-9.]*)`)

// ready implements program.
func (s *Snort) ready(_ context.Context, output string) error {
	if !strings.Contains(output, "Commencing packet processing") {
		return errors.New("it loads its rules")
	}
	if m := snortVersion.FindStringSubmatch(output); m != nil {
		s.change(func(st *State) { st.Version = cmp.Or(m[1], m[2]) })
	}
	return nil
}

// quit implements program.
func (s *Snort) quit(_ context.Context, p *os.Process) { _ = p.Signal(os.Interrupt) }

// clear removes the logs.
func (s *Snort) clear() error {
	if err := os.Remove(s.AlertFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// test has Snort's own program test the rules in a file.
func (s *Snort) test(ctx context.Context, path string) (Counts, error) {
	cmd := s.program(ctx, "-c", s.options.Config, "-R", path, "-k", "none", "-T")
	output := &tail{limit: 4 << 20}
	cmd.Stdout, cmd.Stderr = output, output
	runErr := runGroup(cmd)
	if ctx.Err() != nil {
		return Counts{}, fmt.Errorf("snort: test the rules: %w", context.Cause(ctx))
	}
	text := output.String()
	if problems := snortProblems(text); len(problems) > 0 {
		return Counts{}, &RuleError{Engine: snortName, Problems: problems, Output: lastLines(text, 10)}
	}
	if runErr != nil {
		return Counts{}, fmt.Errorf("snort: test the rules: %w: %s", runErr, lastLines(text, 10))
	}
	counts, _ := snortCounts(text)
	return counts, nil
}

// snortError is a line that says what is wrong with a rule, such as
// "ERROR: /etc/local.rules:3 unknown rule keyword: foo".
var snortError = regexp.MustCompile(`(?m)^ERROR: (?:[^\n]*:(\d+) )?(.*)$`)

func snortProblems(output string) []RuleProblem {
	var problems []RuleProblem
	for _, m := range snortError.FindAllStringSubmatch(output, -1) {
		problems = append(problems, RuleProblem{Line: number(m[1]), Message: strings.TrimRight(m[2], ".\r ")})
	}
	return problems
}

// snortRules is in the summary that Snort prints of the rules it has loaded.
var snortRules = regexp.MustCompile(`total rules loaded: *(\d+)`)

func snortCounts(output string) (c Counts, ok bool) {
	all := snortRules.FindAllStringSubmatch(output, -1)
	if len(all) == 0 {
		return Counts{}, false // it prints no summary of no rules
	}
	return Counts{Loaded: number(all[len(all)-1][1])}, true
}

// What Snort prints on a reload, the versions of 2018 and of 2021.
var (
	reloadDone   = regexp.MustCompile(`(?m)^(?:Reload ended|\.\. swapping configuration|== reload complete)`)
	reloadFailed = regexp.MustCompile(`(?m)^(?:Reload failed|== reload failed)[^\n]*`)
)

// reload implements ruleSet. Where the output has no summary of the rules,
// that there was no error counts as the confirmation.
func (s *Snort) reload(ctx context.Context, want Counts) (Counts, error) {
	output := s.currentOutput()
	mark := output.mark()
	p, err := os.FindProcess(s.State().PID)
	if err != nil {
		return Counts{}, err
	}
	if err := p.Signal(syscall.SIGHUP); err != nil {
		return Counts{}, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("snort: has not said within %s that it loaded the rules", readyLimit))
	defer cancel()
	poll := time.NewTicker(reloadPoll)
	defer poll.Stop()
	for {
		text := output.since(mark)
		if problems := snortProblems(text); len(problems) > 0 {
			return Counts{}, &RuleError{Engine: snortName, Problems: problems, Output: lastLines(text, 10)}
		}
		if m := reloadFailed.FindString(text); m != "" {
			return Counts{}, fmt.Errorf("snort: %s", m)
		}
		if reloadDone.MatchString(text) {
			if counts, ok := snortCounts(text); ok {
				return counts, nil
			}
			return want, nil
		}
		if !s.State().Running {
			return Counts{}, ErrNotRunning
		}
		select {
		case <-ctx.Done():
			return Counts{}, context.Cause(ctx)
		case <-poll.C:
		}
	}
}

// Counts implements Rules.
func (s *Snort) Counts(context.Context) (Counts, error) {
	if !s.State().Running {
		return Counts{}, ErrNotRunning
	}
	counts, _ := snortCounts(s.currentOutput().String())
	return counts, nil
}

// Health implements Observer: Snort has nothing to ask.
func (s *Snort) Health(context.Context) error {
	if !s.State().Running {
		return ErrNotRunning
	}
	return nil
}

// Stats implements Observer.
func (s *Snort) Stats(ctx context.Context) (Stats, error) {
	counts, err := s.Counts(ctx)
	if err != nil {
		return Stats{}, err
	}
	return Stats{Uptime: time.Since(s.State().Since), Rules: counts}, nil
}
