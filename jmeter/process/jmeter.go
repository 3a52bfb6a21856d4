package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/jtl"
)

// JMeter runs plans by a JMeter of its own. It is a [jmeter.Runner].
type JMeter struct {
	// Home is JMeter's folder, which has bin/ApacheJMeter.jar.
	Home string
	// Java is the program; "": java on the path.
	Java string
	// JVMArgs are given to the JVM, e.g. -Xmx512m.
	JVMArgs []string
	// Log takes what JMeter prints; nil: nothing does.
	Log io.Writer
}

// Name returns "jmeter".
func (j *JMeter) Name() string { return "jmeter" }

// Check says what JMeter cannot do.
func (j *JMeter) Check(p *jmeter.Plan) error {
	var reasons []string
	add := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	if p.TLS != (jmeter.TLS{}) {
		add("tls: it checks no server, and has client certificates only in Java's key stores")
	}
	if p.HTTP2 {
		add("http2: it speaks HTTP/1.1 only")
	}
	for _, g := range p.Groups {
		if g.Load.MaxThreads != 0 {
			add("%s: max_threads: it starts as many users as a rate needs", g.Name)
		}
		for _, d := range []time.Duration{g.Load.RampUp, g.Load.Duration, g.Load.Hold} {
			if d%time.Second != 0 && g.Load.Rate == 0 {
				add("%s: %v: it counts in whole seconds", g.Name, d)
			}
		}
	}
	if len(reasons) > 0 {
		return &jmeter.UnsupportedError{Runner: j.Name(), Reasons: reasons}
	}
	return nil
}

// Run writes the plan into a folder of its own, starts JMeter and follows its
// results.
func (j *JMeter) Run(ctx context.Context, p *jmeter.Plan, o jmeter.RunOptions) (jmeter.Outcome, error) {
	resolved, err := p.Resolve(o.Dir)
	if err != nil {
		return jmeter.Outcome{}, err
	}
	r, err := j.prepare(ctx, resolved, o)
	if err != nil {
		return jmeter.Outcome{}, err
	}
	defer r.clean()
	return jmeter.Outcome{}, r.run()
}

// run is one run of JMeter.
type run struct {
	jmeter  *JMeter
	ctx     context.Context
	end     context.CancelFunc
	options jmeter.RunOptions
	dir     string
	args    []string
	onLine  func(string) // nil: nobody reads what it prints
	onTake  func(*jmeter.Sample)
	// remote: at an end at once slaves have to be told, else they go on.
	remote bool
	killed atomic.Bool // there is nobody to tell

	portReady chan struct{}
	port      string // of shutdown messages, after portReady
	last      lastLines
}

// prepare writes the files of a run.
func (j *JMeter) prepare(ctx context.Context, p *jmeter.Plan, o jmeter.RunOptions, args ...string) (*run, error) {
	if err := errors.Join(p.Validate(), j.Check(p), jmeter.CheckRunID(o.RunID)); err != nil {
		return nil, err
	}
	data, err := p.JMX()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "clover-jmeter-")
	if err != nil {
		return nil, err
	}
	r := &run{jmeter: j, options: o, dir: dir, portReady: make(chan struct{})}
	r.ctx, r.end = context.WithCancel(ctx)
	if err := os.WriteFile(r.path("plan.jmx"), data, 0o600); err != nil {
		r.clean()
		return nil, err
	}
	if r.options.RunID == "" {
		r.options.RunID = jmeter.NewRunID()
	}
	r.args = append([]string{"-n", "-t", r.path("plan.jmx"), "-l", r.path("results.jtl"), "-j", r.path("jmeter.log")}, saveSettings...)
	r.args = append(r.args, "-Jclover.run.id="+r.options.RunID, "-Gclover.run.id="+r.options.RunID)
	r.args = append(r.args, args...)
	return r, nil
}

// saveSettings make JMeter write what we read, at once.
var saveSettings = []string{
	"-Jjmeter.save.saveservice.output_format=csv", "-Jjmeter.save.saveservice.url=false",
	"-Jjmeter.save.saveservice.autoflush=true", "-Jjmeter.save.saveservice.timestamp_format=ms",
	"-Jsummariser.interval=6",
	// It does not end by itself after a constant rate.
	"-Jjmeterengine.force.system.exit=true",
}

func (r *run) path(name string) string { return filepath.Join(r.dir, name) }

// kill ends JMeter without a word.
func (r *run) kill() {
	r.killed.Store(true)
	r.end()
}

func (r *run) clean() {
	r.end()
	_ = os.RemoveAll(r.dir) // a folder in the system's own for such
}

// run starts JMeter and returns when it has ended and all results are read.
func (r *run) run() error {
	cmd := r.jmeter.command(r.ctx, r.args)
	cmd.Dir = r.dir
	if r.remote {
		cmd.Cancel = func() error { return r.stopNow(cmd.Process) } // and kills it after WaitDelay
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start JMeter: %w; is Java installed?", err)
	}
	ended := make(chan struct{})
	var helpers sync.WaitGroup
	var readErr error
	helpers.Go(func() { readErr = r.follow(ended) })
	helpers.Go(func() { r.stopGently(ended) })
	r.readOutput(out)
	waitErr := cmd.Wait()
	close(ended)
	helpers.Wait()
	switch {
	case r.ctx.Err() != nil:
		return errors.Join(r.ctx.Err(), readErr)
	case waitErr != nil || r.last.failed:
		return fmt.Errorf("JMeter: %w: %s", errors.Join(waitErr, readErr), r.why())
	}
	return readErr
}

func (j *JMeter) command(ctx context.Context, args []string) *exec.Cmd {
	java := j.Java
	if java == "" {
		java = "java"
	}
	all := append([]string{"-Djava.awt.headless=true"}, j.JVMArgs...)
	all = append(all, "-jar", filepath.Join(j.Home, "bin", "ApacheJMeter.jar"))
	cmd := exec.CommandContext(ctx, java, append(all, args...)...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

var (
	shutdownPort = regexp.MustCompile(`message on port (\d+)`)
	fatalLine    = regexp.MustCompile(`^(Error in NonGUIDriver|An error occurred|Problem loading XML|.*Could not open )`)
)

// readOutput reads what JMeter prints, to its end.
func (r *run) readOutput(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if r.jmeter.Log != nil {
			_, _ = fmt.Fprintln(r.jmeter.Log, line) // for people
		}
		r.last.add(line)
		if m := shutdownPort.FindStringSubmatch(line); m != nil && r.port == "" {
			r.port = m[1]
			close(r.portReady)
		}
		if r.onLine != nil {
			r.onLine(line)
		}
	}
	_, _ = io.Copy(io.Discard, out) // a line that was too long must not block it
}

// lastLines keeps the end of an output.
type lastLines struct {
	lines  []string
	failed bool
}

func (l *lastLines) add(line string) {
	if strings.TrimSpace(line) == "" {
		return
	}
	l.failed = l.failed || fatalLine.MatchString(line)
	if l.lines = append(l.lines, line); len(l.lines) > 10 {
		l.lines = l.lines[1:]
	}
}

// why returns the end of what JMeter has printed and the errors of its log.
func (r *run) why() string {
	lines := r.last.lines
	data, err := os.ReadFile(r.path("jmeter.log"))
	if err == nil {
		for _, line := range strings.Split(string(data), "\n") {
			if strings.Contains(line, " ERROR ") && len(lines) < 20 {
				lines = append(lines, line)
			}
		}
	}
	return strings.Join(lines, " | ")
}

// stopGently sends JMeter the message that lets its users end.
func (r *run) stopGently(ended <-chan struct{}) {
	select {
	case <-r.options.Stop:
	case <-ended:
		return
	}
	select {
	case <-r.portReady:
	case <-ended:
		return
	}
	conn, err := (&net.Dialer{}).DialContext(r.ctx, "udp", net.JoinHostPort("127.0.0.1", r.port))
	if err != nil {
		r.end()
		return
	}
	defer conn.Close()
	for { // a datagram may come before JMeter listens
		if _, err := conn.Write([]byte("Shutdown")); err != nil && r.ctx.Err() != nil {
			return
		}
		select {
		case <-ended:
			return
		case <-time.After(time.Second):
		}
	}
}

// stopNow has JMeter stop its slaves at once, or kills it.
func (r *run) stopNow(p *os.Process) error {
	select {
	case <-r.portReady:
	default:
		return p.Kill()
	}
	if r.killed.Load() {
		return p.Kill()
	}
	conn, err := (&net.Dialer{}).Dial("udp", net.JoinHostPort("127.0.0.1", r.port)) //nolint:noctx // ours has ended, and UDP does not wait
	if err != nil {
		return p.Kill()
	}
	defer conn.Close()
	_, err = conn.Write([]byte("StopTestNow"))
	return err
}

// follow gives the samples to the sink as they are written.
func (r *run) follow(ended <-chan struct{}) error {
	f, err := r.open(ended)
	if f == nil {
		return err
	}
	defer f.Close()
	in, err := jtl.NewReader(&tail{f: f, ended: ended})
	if err != nil {
		return err
	}
	for {
		var x jmeter.Sample
		if err := in.Read(&x); err != nil {
			if errors.Is(err, io.EOF) || r.ctx.Err() != nil { // cut off in a line
				return nil
			}
			r.end()
			return err
		}
		if r.onTake != nil {
			r.onTake(&x)
		}
		if r.options.Threads != nil {
			r.options.Threads(x.AllThreads)
		}
		if r.options.Sink != nil {
			if err := r.options.Sink(&x); err != nil {
				r.end()
				return err
			}
		}
	}
}

// open waits for the file of results. nil: the run ended without one.
func (r *run) open(ended <-chan struct{}) (*os.File, error) {
	over := false
	for {
		f, err := os.Open(r.path("results.jtl"))
		if err == nil {
			return f, nil
		}
		if over {
			return nil, nil
		}
		select {
		case <-ended:
			over = true // look once more
		case <-time.After(pollResults):
		}
	}
}

// pollResults is how often a file that grows is looked at.
const pollResults = 50 * time.Millisecond

// tail reads a file that grows until the one who writes it has ended.
type tail struct {
	f     *os.File
	ended <-chan struct{}
	over  bool
}

func (t *tail) Read(p []byte) (int, error) {
	for {
		n, err := t.f.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) || t.over {
			return n, err
		}
		select {
		case <-t.ended:
			t.over = true
		case <-time.After(pollResults):
		}
	}
}
