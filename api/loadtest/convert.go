package loadtest

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/opnfv/clover/api/jmeter"
	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/master"
)

// plan returns a plan that is kept, and what can run it.
func (s Service) plan(k master.Plan, text bool) (*pb.Plan, error) {
	read, err := k.Read()
	if err != nil {
		return nil, err
	}
	p := &pb.Plan{
		Name: k.Name, Created: timestamppb.New(k.Created), Digest: k.Digest(),
		Files: slices.Sorted(maps.Keys(k.Files)), Problems: map[string]string{},
	}
	if text {
		p.Text = strings.ToValidUTF8(k.Text, "\uFFFD")
	}
	for _, g := range read.Groups {
		p.Threads += int32(g.Load.Threads)
	}
	read.Walk(func(_ *jmeter.Group, step jmeter.Step) {
		if _, ok := step.(*jmeter.Request); ok {
			p.Requests++
		}
	})
	for _, engine := range s.Master.Engines() {
		err := s.Master.Problem(engine, read)
		if err == nil {
			p.Engines = append(p.Engines, engine)
			continue
		}
		p.Problems[engine] = err.Error()
		var u *jmeter.UnsupportedError
		if errors.As(err, &u) {
			p.Problems[engine] = strings.Join(u.Reasons, "; ")
		}
	}
	return p, nil
}

var states = map[master.State]pb.RunState{
	master.Queued: pb.RunState_RUN_STATE_QUEUED, master.Running: pb.RunState_RUN_STATE_RUNNING,
	master.Stopping: pb.RunState_RUN_STATE_STOPPING, master.Finished: pb.RunState_RUN_STATE_FINISHED,
	master.Stopped: pb.RunState_RUN_STATE_STOPPED, master.Failed: pb.RunState_RUN_STATE_FAILED,
	master.Interrupted: pb.RunState_RUN_STATE_INTERRUPTED,
}

// StateName returns a state in the word of package master, e.g. "running".
func StateName(s pb.RunState) string {
	for name, state := range states {
		if state == s {
			return string(name)
		}
	}
	return "unknown"
}

func runOf(r master.Run) *pb.Run {
	n := r.Numbers
	out := &pb.Run{
		Id: r.ID, Plan: r.Plan, PlanDigest: r.PlanDigest, Engine: r.Engine, Slaves: int32(r.Slaves), SlaveAddresses: r.Addresses,
		State: states[r.State], Created: when(r.Created), Began: when(r.Began), Ended: when(r.Ended),
		Numbers: &pb.Numbers{
			Count: n.Count, Errors: n.Errors, Missed: n.Missed, Rate: n.Rate, Threads: int32(n.Threads),
			Min: durationpb.New(n.Min), Mean: durationpb.New(n.Mean), P50: durationpb.New(n.P50),
			P95: durationpb.New(n.P95), P99: durationpb.New(n.P99), Max: durationpb.New(n.Max),
		},
		Passed: r.Passed, Notes: r.Notes, Problem: strings.ToValidUTF8(r.Problem, "\uFFFD"), Bytes: r.Bytes,
	}
	for _, v := range r.Verdicts {
		out.Verdicts = append(out.Verdicts, &pb.Verdict{Criterion: v.Criterion, Pass: v.Pass, Got: v.Got})
	}
	return out
}

// when returns a time; nil for none.
func when(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
