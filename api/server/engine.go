package server

import (
	"cmp"
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/engine"
)

// engines are the names of v1.Engine; ENGINE_UNSPECIFIED is none.
var engines = map[v1.Engine]engine.Name{
	v1.Engine_ENGINE_AUTO:  engine.Auto,
	v1.Engine_ENGINE_STORE: engine.Store,
	v1.Engine_ENGINE_SPARK: engine.Spark,
}

// stats answers q by the engine that the request asks for. Where there is
// neither a choice nor a wish to know, nothing is estimated.
func (l *Local) stats(ctx context.Context, q visibility.Query, req *v1.GetStatsRequest) (*v1.GetStatsResponse, error) {
	name, ok := engines[req.GetEngine()]
	if !ok && req.GetEngine() != v1.Engine_ENGINE_UNSPECIFIED {
		return nil, invalidIn("engine", "engine: "+req.GetEngine().String()+" is not known")
	}
	name = cmp.Or(name, engine.Store)
	if !req.GetExplain() && (name == engine.Store || name == engine.Auto && l.deps.Engines.Alone()) {
		res, err := l.deps.Analytics.Query(ctx, q)
		if err != nil {
			return nil, asStatus(err)
		}
		return toResult(res), nil
	}
	res, why, err := l.deps.Engines.Ask(ctx, q, name)
	if errors.Is(err, engine.ErrNotConfigured) {
		return nil, status.Error(codes.FailedPrecondition, err.Error()+
			": start clover-collector with --spark-addr and --spark-data, or ask the store (--engine store)")
	}
	if err != nil {
		return nil, asStatus(err)
	}
	out := toResult(res)
	if req.GetExplain() || why.Engine == engine.Spark {
		out.Explanation = toExplanation(why)
	}
	return out, nil
}

func toExplanation(e *engine.Explanation) *v1.Explanation {
	out := &v1.Explanation{
		Reason: e.Reason, StoreEstimate: toCost(e.Store), SparkEstimate: toCost(e.Spark), Actual: toCost(e.Real),
	}
	for number, name := range engines {
		if name == e.Engine {
			out.Engine = number
		}
	}
	return out
}

// toCost converts a cost; nil if nothing of it is known.
func toCost(c engine.Cost) *v1.Cost {
	if c == engine.Unknown {
		return nil
	}
	known := func(n int64) *int64 {
		if n < 0 {
			return nil
		}
		return &n
	}
	out := &v1.Cost{Read: known(c.Read), Files: known(c.Files), Returned: known(c.Returned)}
	if c.Elapsed >= 0 {
		out.Elapsed = durationpb.New(c.Elapsed)
	}
	return out
}
