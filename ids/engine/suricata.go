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
	"sync"
	"time"
)

// suricataName is how messages name the engine.
const suricataName = "Suricata"

// maxSocketPath is what the kernels have room for.
const maxSocketPath = 100

// SuricataOptions says how Suricata runs.
type SuricataOptions struct {
	// Program is the program and what stands before its own arguments, such as
	// "ip netns exec NAME /usr/bin/suricata"; empty is "suricata".
	Program []string
	// Interfaces are the network interfaces looked at, by AF_PACKET, which
	// only Linux has. None is an error.
	Interfaces []string
	// Filter is an expression of pcap-filter(7) that packets of all interfaces
	// must match to be looked at, such as "icmp or tcp port 8080"; empty: all
	// are. Where a request passes an interface several times, as on lo, it lets
	// each be seen once.
	Filter string
	// Threads is how many packets of an interface are looked at at once; 0 is 1.
	Threads int
	// EVE says where alerts go.
	EVE EVE
	// LogDir is where the engine writes logs; empty is "log" in the home.
	LogDir string
	// Socket is the path of the control socket; empty is "suricata.socket" in
	// the home. Kernels limit it to about 100 bytes.
	Socket string
	// Addresses and Ports are the variables that rules use, without "$". What
	// is left out of the usual names has a default: HOME_NET is the private
	// networks, EXTERNAL_NET any.
	Addresses, Ports map[string]string
	// ClassificationFile, ReferenceFile and ThresholdFile are the files of
	// that name in Suricata's own form. Empty is Suricata's own file in
	// /etc/suricata, or where that is not there a built-in one, which for
	// thresholds is empty.
	ClassificationFile, ReferenceFile, ThresholdFile string
	// NoMidstream leaves out connections whose beginning was not seen. As a
	// rule those are looked at, so that a start of the engine misses nothing.
	NoMidstream bool
	// Stopped leaves the engine stopped until Start is called.
	Stopped bool
	// Logger nil is silence.
	Logger *slog.Logger
}

// Suricata is Suricata 6 or later, controlled through its unix socket.
type Suricata struct {
	*process
	*ruleSet
	options SuricataOptions
	home    string
	socket  string
	rules   ruleFile
	rotate  sync.Mutex
}

var _ Engine = (*Suricata)(nil)

// NewSuricata returns an engine whose files are in the folder home, which is
// made: configuration "suricata.yaml", rules "clover.rules", logs. Rules that
// are there already stay. The program is not run before Run or Replace.
func NewSuricata(home string, o SuricataOptions) (*Suricata, error) {
	home, err := filepath.Abs(home)
	if err != nil {
		return nil, err
	}
	if len(o.Interfaces) == 0 {
		return nil, errors.New("suricata: no interface to look at: set Interfaces")
	}
	if len(o.Program) == 0 {
		o.Program = []string{"suricata"}
	}
	o.LogDir = cmp.Or(o.LogDir, filepath.Join(home, "log"))
	o.EVE.MaxBytes, o.EVE.Keep = cmp.Or(o.EVE.MaxBytes, defaultEVEBytes), cmp.Or(o.EVE.Keep, defaultEVEKeep)
	o.EVE.File = cmp.Or(o.EVE.File, filepath.Join(o.LogDir, "eve.json"))
	s := &Suricata{home: home, socket: cmp.Or(o.Socket, filepath.Join(home, "suricata.socket")), rules: ruleFile{filepath.Join(home, "clover.rules")}}
	if len(s.socket) > maxSocketPath {
		return nil, fmt.Errorf("suricata: the path of the control socket has %d bytes, more than %d: set Socket", len(s.socket), maxSocketPath)
	}
	for _, dir := range []string{home, o.LogDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if err := s.rules.ensure(); err != nil {
		return nil, err
	}
	if s.options, err = withFiles(home, o); err != nil {
		return nil, err
	}
	s.process = newProcess(program{
		name: suricataName, command: s.command, ready: s.ready, quit: s.quit, clear: s.clear,
	}, o.Stopped, o.Logger)
	s.ruleSet = &ruleSet{loading: &s.process.loading, file: s.rules, test: s.test, running: func() bool { return s.State().Running }, reload: s.reload}
	return s, s.writeConfig()
}

// EVEFile is the file that alerts are written to, if they go to a file.
func (s *Suricata) EVEFile() string { return s.options.EVE.File }

func (s *Suricata) configFile() string { return filepath.Join(s.home, "suricata.yaml") }

func (s *Suricata) writeConfig() error {
	data, err := s.config()
	if err != nil {
		return err
	}
	return writeDurable(s.configFile(), data)
}

// program returns the program with arguments.
func (s *Suricata) program(ctx context.Context, args ...string) *exec.Cmd {
	all := append(append([]string{}, s.options.Program[1:]...), args...)
	return exec.CommandContext(ctx, s.options.Program[0], all...)
}

func (s *Suricata) command(ctx context.Context) (*exec.Cmd, error) {
	// A socket that a killed engine has left is in the way of a new one.
	if err := os.Remove(s.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return s.program(ctx, "-c", s.configFile(), "-l", s.options.LogDir, "--af-packet", "--runmode", "workers"), nil
}

// ready waits for the threads that look at packets, which begin after the
// socket answers.
func (s *Suricata) ready(ctx context.Context, output string) error {
	if !strings.Contains(output, "Engine started") {
		return errors.New("it loads its rules")
	}
	var version string
	if err := command(ctx, s.socket, "version", &version); err != nil {
		return err
	}
	version, _, _ = strings.Cut(version, " ")
	s.change(func(st *State) { st.Version = version })
	return nil
}

// quit asks by the socket, and by a signal where that does not answer.
func (s *Suricata) quit(ctx context.Context, p *os.Process) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := command(ctx, s.socket, "shutdown", nil); err != nil {
		_ = p.Signal(os.Interrupt) // it may have ended
	}
}

// clear removes the logs.
func (s *Suricata) clear() error {
	var failed []error
	paths := []string{s.options.EVE.File, filepath.Join(s.options.LogDir, "suricata.log")}
	for n := range s.options.EVE.Keep {
		paths = append(paths, fmt.Sprintf("%s.%d", s.options.EVE.File, n+1))
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// reload implements ruleSet.
func (s *Suricata) reload(ctx context.Context, _ Counts) (Counts, error) {
	if err := command(ctx, s.socket, "reload-rules", nil); err != nil {
		return Counts{}, err
	}
	counts, err := s.Counts(ctx)
	if err != nil || counts.Failed == 0 {
		return counts, err
	}
	var failed []struct {
		Rule string `json:"rule"`
		Line int    `json:"line"`
	}
	if err := command(ctx, s.socket, "ruleset-failed-rules", &failed); err != nil {
		return counts, err
	}
	refused := &RuleError{Engine: suricataName}
	for _, f := range failed {
		refused.Problems = append(refused.Problems, RuleProblem{Line: f.Line, Rule: f.Rule, Message: "not loaded: " + f.Rule})
	}
	return counts, refused
}

// Counts implements Rules.
func (s *Suricata) Counts(ctx context.Context) (Counts, error) {
	var tenants []struct {
		Loaded  int `json:"rules_loaded"`
		Failed  int `json:"rules_failed"`
		Skipped int `json:"rules_skipped"`
	}
	if err := command(ctx, s.socket, "ruleset-stats", &tenants); err != nil {
		return Counts{}, err
	}
	var sum Counts
	for _, t := range tenants {
		sum.Loaded, sum.Failed, sum.Skipped = sum.Loaded+t.Loaded, sum.Failed+t.Failed, sum.Skipped+t.Skipped
	}
	return sum, nil
}

// Health implements Observer.
func (s *Suricata) Health(ctx context.Context) error {
	if !s.State().Running {
		return ErrNotRunning
	}
	return command(ctx, s.socket, "uptime", nil)
}

// Stats implements Observer. Suricata sums up its counters once a second.
func (s *Suricata) Stats(ctx context.Context) (Stats, error) {
	var seconds int64
	if err := command(ctx, s.socket, "uptime", &seconds); err != nil {
		return Stats{}, err
	}
	rules, err := s.Counts(ctx)
	if err != nil {
		return Stats{}, err
	}
	var tree map[string]any
	if err := command(ctx, s.socket, "dump-counters", &tree); err != nil {
		return Stats{}, err
	}
	counters := map[string]float64{}
	flatten(counters, "", tree)
	return Stats{
		Uptime: time.Duration(seconds) * time.Second, Rules: rules, Counters: counters,
		Packets: uint64(counters["decoder.pkts"]), Dropped: uint64(counters["capture.kernel_drops"]),
		Alerts: uint64(counters["detect.alert"]),
	}, nil
}

// flatten joins the names of a tree of numbers with dots.
func flatten(into map[string]float64, prefix string, tree map[string]any) {
	for name, v := range tree {
		switch v := v.(type) {
		case float64:
			into[prefix+name] = v
		case map[string]any:
			flatten(into, prefix+name+".", v)
		}
	}
}

// tested is the line that Suricata prints when it has read the rules.
var tested = regexp.MustCompile(`(\d+) rules successfully loaded, (\d+) rules failed(?:, (\d+))?`)

// refusedRule is the line that Suricata prints for each rule it refuses,
// after lines that say why.
var refusedRule = regexp.MustCompile(`(?s)^error parsing signature "(.*)" from file .* at line (\d+)$`)
