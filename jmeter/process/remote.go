package process

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// Remote runs plans by JMeter's slaves: each of them runs the whole plan, and
// the master collects the results. It is a [jmeter.Runner]. Files of a plan
// are those that the slaves have, unless RunOptions.Dir is a folder that they
// share with the master.
type Remote struct {
	// JMeter is the master.
	JMeter JMeter
	// Slaves are their addresses, HOST:PORT of the RMI registry.
	Slaves []string
	// Host is the address at which slaves reach the master. "": the JVM's guess.
	Host string
	// Keys are what master and slaves know each other by. Without them the
	// run is refused unless Plain is true.
	Keys Keys
	// Plain speaks RMI without TLS and without any check of who calls.
	Plain bool
}

// Name returns "jmeter-remote".
func (r *Remote) Name() string { return "jmeter-remote" }

// Check says what slaves cannot do.
func (r *Remote) Check(p *jmeter.Plan) error {
	var reasons []string
	if len(r.Slaves) == 0 {
		reasons = append(reasons, "there is no slave")
	}
	if r.Keys == (Keys{}) && !r.Plain {
		reasons = append(reasons, "there are no keys for RMI; make them with MakeKeys, or set Plain")
	}
	if reasons != nil {
		return &jmeter.UnsupportedError{Runner: r.Name(), Reasons: reasons}
	}
	return r.JMeter.Check(p)
}

// Run runs the plan on all slaves. A slave that dies is in the outcome's notes
// with what it had done; the results of the others go on.
func (r *Remote) Run(ctx context.Context, p *jmeter.Plan, o jmeter.RunOptions) (jmeter.Outcome, error) {
	if err := r.Check(p); err != nil {
		return jmeter.Outcome{}, err
	}
	if o.Dir != "" {
		resolved, err := p.Resolve(o.Dir)
		if err != nil {
			return jmeter.Outcome{}, err
		}
		p = resolved
	}
	args := append([]string{"-R", strings.Join(r.Slaves, ",")}, sendSettings...)
	if r.Host != "" {
		args = append(args, "-Djava.rmi.server.hostname="+r.Host)
	}
	one, err := r.JMeter.prepare(ctx, p, o, args...)
	if err != nil {
		return jmeter.Outcome{}, err
	}
	defer one.clean()
	one.remote = true
	keys, err := r.Keys.args(r.Plain, one.dir)
	if err != nil {
		return jmeter.Outcome{}, err
	}
	one.args = append(one.args, keys...)
	w := &slaveWatch{slaves: r.Slaves, done: map[string]int64{}, dead: map[string]bool{}, finished: map[string]bool{}, absent: map[string]bool{}, end: one.kill}
	one.onLine, one.onTake, w.log = w.line, w.take, one.path("jmeter.log")
	over := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { w.watch(one.ctx, over) })
	err = one.run()
	close(over)
	watcher.Wait()
	if absent := w.allAbsent(); absent != nil && ctx.Err() == nil {
		return jmeter.Outcome{}, errors.Join(absent, err)
	}
	if w.cutOff() && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		err = nil // we ended the master, which would wait for the dead for ever
	}
	return jmeter.Outcome{Notes: w.notes()}, err
}

// sendSettings make slaves send results soon: by default they keep them for up
// to a minute, and one that dies takes them with it. In the asynchronous modes
// they say that the test has ended before they have sent the last results, for
// which the master's file is closed then.
var sendSettings = []string{
	"-Jmode=StrippedBatch", "-Gmode=StrippedBatch", "-Jtime_threshold=300", "-Gtime_threshold=300",
	"-Jnum_sample_threshold=100", "-Gnum_sample_threshold=100",
}

// slaveWatch knows which slaves live and what each of them has done.
type slaveWatch struct {
	slaves []string
	end    context.CancelFunc
	log    string // the master's log, which says who has finished
	logAt  int64  // how much of it was read

	mu       sync.Mutex
	started  bool
	done     map[string]int64 // samples by slave
	dead     map[string]bool
	finished map[string]bool
	absent   map[string]bool // they have not started
	why      string          // of the last one
	ended    bool            // we have ended the master
}

var (
	finishedHost = regexp.MustCompile(`Finished remote host: (\S+)`)
	absentHosts  = regexp.MustCompile(`remote engines have not started:\[(.*)\]`)
	notStarted   = regexp.MustCompile(`^(Error in rconfigure\(\) method|Failed to configure|Exception creating connection to)`)
)

func (w *slaveWatch) line(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.Contains(s, "Remote engines have been started") {
		w.started = true
	}
	if notStarted.MatchString(s) {
		w.why = s
	}
	if m := absentHosts.FindStringSubmatch(s); m != nil {
		for _, slave := range strings.Split(m[1], ",") {
			w.absent[strings.TrimSpace(slave)] = true
		}
	}
}

// allAbsent says why no slave has started, if so.
func (w *slaveWatch) allAbsent() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.ContainsFunc(w.slaves, func(s string) bool { return !w.absent[s] }) {
		return nil
	}
	return fmt.Errorf("JMeter: no slave has started (%s): %s", strings.Join(w.slaves, ", "), cmp.Or(w.why, "it says no reason"))
}

// readLog reads the whole lines that are new in the master's log.
func (w *slaveWatch) readLog() {
	f, err := os.Open(w.log)
	if err != nil {
		return // not there yet
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, w.logAt, 1<<20))
	if err != nil {
		return // again at the next time
	}
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	w.logAt += int64(len(whole))
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range finishedHost.FindAllSubmatch(whole, -1) {
		w.finished[string(m[1])] = true
	}
}

// take counts a sample; the thread's name begins with the slave's address.
func (w *slaveWatch) take(x *jmeter.Sample) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.slaves {
		if strings.HasPrefix(x.Thread, s+"-") {
			w.done[s]++
			return
		}
	}
}

const (
	slaveCheck  = time.Second
	slaveMisses = 3 // checks in a row that a slave may miss
	lastResults = 3 * time.Second
)

// watch looks whether the slaves live. When all others have finished, it ends
// the master.
func (w *slaveWatch) watch(ctx context.Context, over <-chan struct{}) {
	tick := time.NewTicker(slaveCheck)
	defer tick.Stop()
	misses := map[string]int{}
	var since time.Time
	for {
		select {
		case <-tick.C:
		case <-over:
			return
		case <-ctx.Done():
			return
		}
		w.readLog()
		for _, s := range w.slaves {
			if w.settled(s) {
				continue
			}
			if misses[s]++; reachable(ctx, s) {
				misses[s] = 0
			} else if misses[s] == slaveMisses {
				w.mu.Lock()
				w.dead[s] = true
				w.mu.Unlock()
			}
		}
		if !w.onlyDeadLeft() {
			continue
		}
		if since.IsZero() {
			since = time.Now() // results may be on their way
		} else if time.Since(since) > lastResults {
			w.mu.Lock()
			w.ended = true
			w.mu.Unlock()
			w.end()
			return
		}
	}
}

// settled reports whether nothing is to be found out about a slave any more.
func (w *slaveWatch) settled(s string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.started || w.dead[s] || w.finished[s] || w.absent[s]
}

func (w *slaveWatch) onlyDeadLeft() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.dead) > 0 && !slices.ContainsFunc(w.slaves, func(s string) bool { return !w.dead[s] && !w.finished[s] && !w.absent[s] })
}

func (w *slaveWatch) cutOff() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

func reachable(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, slaveCheck)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func (w *slaveWatch) notes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, s := range w.slaves {
		if w.absent[s] {
			out = append(out, fmt.Sprintf("slave %s has not started: %s", s, cmp.Or(w.why, "JMeter says no reason")))
		}
		if w.dead[s] {
			out = append(out, fmt.Sprintf("slave %s has died; %d of its results had arrived and are counted", s, w.done[s]))
		}
	}
	return out
}

// Slave is a JMeter that waits for a master. Each serves one run at a time.
type Slave struct {
	JMeter JMeter
	// Addr is where its RMI registry listens, HOST:PORT.
	Addr string
	// ObjectPort is the port of what the registry names. 0: any.
	ObjectPort int
	Keys       Keys
	// Plain speaks RMI without TLS and without any check of who calls.
	Plain bool
	// Dir is the working folder, which files of plans are relative to.
	Dir string
}

// Run runs the slave until ctx ends.
func (s *Slave) Run(ctx context.Context) error {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	if s.Keys == (Keys{}) && !s.Plain {
		return fmt.Errorf("%w: a slave without keys; make them with MakeKeys, or set Plain", jmeter.ErrInvalid)
	}
	dir, err := os.MkdirTemp("", "clover-jmeter-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder in the system's own for such
	keys, err := s.Keys.args(s.Plain, dir)
	if err != nil {
		return err
	}
	args := append([]string{"-s", "-Jserver_port=" + port, "-Djava.rmi.server.hostname=" + host, "-j", "jmeter-server-" + port + ".log"}, keys...)
	if s.ObjectPort != 0 {
		args = append(args, fmt.Sprintf("-Jserver.rmi.localport=%d", s.ObjectPort))
	}
	cmd := s.JMeter.command(ctx, args)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Dir, s.JMeter.Log, s.JMeter.Log
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("JMeter as a slave: %w", err)
	}
	return ctx.Err()
}
