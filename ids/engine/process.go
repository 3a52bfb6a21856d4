package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Bounds of a process.
const (
	stopLimit    = 15 * time.Second // to end by itself
	readyLimit   = 2 * time.Minute  // from the start until it looks at traffic
	readyPoll    = 20 * time.Millisecond
	waitDelay    = 2 * time.Second // for what it has started and left with its output
	keptOutput   = 64 << 10
	firstRestart = 500 * time.Millisecond
	lastRestart  = 30 * time.Second
)

// program is what a process needs to know of its engine.
type program struct {
	name    string
	command func(ctx context.Context) (*exec.Cmd, error)   // not yet started
	ready   func(ctx context.Context, output string) error // nil: it looks at traffic
	quit    func(ctx context.Context, p *os.Process)       // asks it to end
	clear   func() error                                   // removes its logs
}

// process runs a program again and again. What Start and Stop ask for is
// done by the goroutine of Run, which alone has the process.
type process struct {
	program
	logger   *slog.Logger
	requests chan request
	ended    chan struct{} // Run has ended

	mu     sync.Mutex
	state  State
	begun  bool  // Run was called
	wanted bool  // the process should run
	output *tail // of the process

	// loading is held while the process starts and while its rules are changed.
	loading sync.Mutex
}

type request struct {
	start bool
	ctx   context.Context //nolint:containedctx // bounds the wait of the caller
	done  chan answer
}

type answer struct {
	state State
	err   error
}

func newProcess(p program, stopped bool, logger *slog.Logger) *process {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &process{
		program: p, logger: logger, requests: make(chan request), ended: make(chan struct{}),
		state: State{Name: p.name}, wanted: !stopped,
	}
}

// State implements Observer.
func (p *process) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// currentOutput is what the process prints, or the last one has printed.
func (p *process) currentOutput() *tail {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output
}

func (p *process) change(f func(s *State)) State {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.state)
	return p.state
}

// Start implements Lifecycle.
func (p *process) Start(ctx context.Context) (State, error) { return p.ask(ctx, true) }

// Stop implements Lifecycle.
func (p *process) Stop(ctx context.Context) (State, error) { return p.ask(ctx, false) }

func (p *process) ask(ctx context.Context, start bool) (State, error) {
	p.mu.Lock()
	begun := p.begun
	p.mu.Unlock()
	if !begun {
		return p.State(), ErrEnded
	}
	r := request{start: start, ctx: ctx, done: make(chan answer, 1)}
	select {
	case p.requests <- r:
	case <-p.ended:
		return p.State(), ErrEnded
	case <-ctx.Done():
		return p.State(), context.Cause(ctx)
	}
	select {
	case a := <-r.done:
		return a.state, a.err
	case <-ctx.Done():
		return p.State(), context.Cause(ctx)
	}
}

// child is a running process.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // read after done
}

// Run implements Lifecycle.
func (p *process) Run(ctx context.Context) error {
	p.mu.Lock()
	if p.begun {
		p.mu.Unlock()
		return errors.New("engine: Run was called before")
	}
	p.begun = true
	p.mu.Unlock()
	defer close(p.ended)
	var c *child
	defer func() { p.end(c) }()
	var again retry
	for ctx.Err() == nil {
		if c == nil && p.wanted && again.due() {
			var err error
			if c, err = p.begin(ctx); err != nil && ctx.Err() == nil {
				p.logger.Error("engine: start", "engine", p.name, "error", err)
				p.change(func(s *State) { s.LastExit = err.Error() })
				again.later()
			} else if err == nil && again.wait > 0 {
				p.change(func(s *State) { s.Restarts++ })
			}
		}
		c = p.step(ctx, c, &again)
	}
	return nil
}

// retry says when a process that has ended is started again.
type retry struct {
	wait time.Duration // 0: it has not ended yet
	at   time.Time
}

func (r *retry) due() bool { return !time.Now().Before(r.at) }

func (r *retry) later() {
	r.wait = min(max(2*r.wait, firstRestart), lastRestart)
	r.at = time.Now().Add(r.wait)
}

// step waits for what comes next: a request, the end of the process, or the
// time to start it again. It returns the process that runs then.
func (p *process) step(ctx context.Context, c *child, again *retry) *child {
	var done <-chan struct{}
	var restart <-chan time.Time
	if c != nil {
		done = c.done
	} else if p.wanted {
		timer := time.NewTimer(time.Until(again.at))
		defer timer.Stop()
		restart = timer.C
	}
	select {
	case <-ctx.Done():
	case <-restart:
	case <-done:
		s := p.change(func(s *State) {
			s.Running = false
			s.LastExit = fmt.Sprintf("pid %d: %v", s.PID, exitText(c.err))
		})
		p.logger.Warn("engine: ended by itself", "engine", p.name, "pid", s.PID, "error", s.LastExit)
		if time.Since(s.Since) > lastRestart {
			*again = retry{}
		}
		again.later()
		return nil
	case r := <-p.requests:
		r.done <- p.serve(ctx, r, &c)
	}
	return c
}

// ended is how a process has ended, whatever became of what it had started.
func ended(err error) error {
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}

func exitText(err error) string {
	if ended(err) == nil {
		return "exit status 0"
	}
	return err.Error()
}

// serve does what Start or Stop asks for.
func (p *process) serve(ctx context.Context, r request, c **child) answer {
	before := p.wanted
	p.wanted = r.start
	if r.start {
		if *c != nil {
			return answer{state: p.State()}
		}
		both, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(r.ctx, cancel)()
		var err error
		if *c, err = p.begin(both); err != nil {
			p.wanted = before
			return answer{p.State(), fmt.Errorf("start %s: %w", p.name, err)}
		}
		return answer{state: p.State()}
	}
	was := p.State()
	p.end(*c)
	*c = nil
	if err := p.clear(); err != nil {
		return answer{was, fmt.Errorf("clear the logs of %s: %w", p.name, err)}
	}
	return answer{state: was}
}

// begin starts the process and waits until it looks at traffic.
func (p *process) begin(ctx context.Context) (*child, error) {
	p.loading.Lock()
	defer p.loading.Unlock()
	cmd, err := p.command(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	output := &tail{limit: keptOutput}
	p.mu.Lock()
	p.output = output
	p.mu.Unlock()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.WaitDelay = waitDelay
	c := &child{cmd: cmd, done: make(chan struct{})}
	if err := startChild(c); err != nil {
		return nil, err
	}
	if err := p.awaitReady(ctx, c, output); err != nil {
		p.end(c)
		return nil, err
	}
	s := p.change(func(s *State) { s.Running, s.PID, s.Since = true, cmd.Process.Pid, time.Now() })
	p.logger.Info("engine: started", "engine", p.name, "version", s.Version, "pid", s.PID)
	return c, nil
}

func (p *process) awaitReady(ctx context.Context, c *child, output *tail) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("not ready after %s", readyLimit))
	defer cancel()
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		err := p.ready(ctx, output.String())
		if err == nil {
			return nil
		}
		select {
		case <-c.done:
			return fmt.Errorf("it ended: %s: %s", exitText(c.err), lastLines(output.String(), 10))
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-poll.C:
		}
	}
}

// end ends the process and waits for it.
func (p *process) end(c *child) {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	p.quit(ctx, c.cmd.Process)
	select {
	case <-c.done:
	case <-ctx.Done():
		p.logger.Warn("engine: had to be killed", "engine", p.name, "pid", c.cmd.Process.Pid)
		killGroup(c.cmd)
		<-c.done
	}
	p.change(func(s *State) { s.Running = false })
}
