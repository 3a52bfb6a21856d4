package spark

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/beltran/gohive/hiveserver"

	"github.com/opnfv/clover/visibility"
)

// fetchRows is how many rows are asked for at once.
const fetchRows = 1000

// operation is a statement that the server runs.
type operation struct {
	s      *session
	handle *hiveserver.TOperationHandle
}

// execute starts a statement; it runs on while the caller does something else.
func (s *session) execute(ctx context.Context, statement string) (*operation, error) {
	op := &operation{s: s}
	err := s.call(ctx, func(ctx context.Context) (*hiveserver.TStatus, error) {
		r, err := s.client.ExecuteStatement(ctx, &hiveserver.TExecuteStatementReq{
			SessionHandle: s.handle, Statement: statement, RunAsync: true,
		})
		if err != nil {
			return nil, err
		}
		op.handle = r.OperationHandle
		return r.Status, nil
	})
	if err != nil {
		return nil, err
	}
	return op, nil
}

// rows waits for the statement and reads its rows.
func (op *operation) rows(ctx context.Context, limit int, yield func(row []any) error) error {
	if err := op.wait(ctx); err != nil {
		return err
	}
	for seen := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		columns, n, err := op.fetch(ctx)
		if err != nil || n == 0 {
			return err
		}
		if seen += n; seen > limit {
			return fmt.Errorf("spark: %w: the answer has more than %d rows", visibility.ErrLimit, limit)
		}
		row := make([]any, len(columns))
		for i := range n {
			for c, col := range columns {
				row[c] = col(i)
			}
			if err := yield(row); err != nil {
				return err
			}
		}
	}
}

// wait returns when the statement has ended, or has been cancelled because ctx
// ended.
func (op *operation) wait(ctx context.Context) error {
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		if err := ctx.Err(); err != nil {
			return op.cancel(err)
		}
		status, err := op.status(ctx)
		if err != nil {
			return err
		}
		switch status.GetOperationState() {
		case hiveserver.TOperationState_FINISHED_STATE:
			return nil
		case hiveserver.TOperationState_INITIALIZED_STATE, hiveserver.TOperationState_PENDING_STATE, hiveserver.TOperationState_RUNNING_STATE:
		default:
			return &Error{
				Message:  fmt.Sprintf("%s: %s", status.GetOperationState(), status.GetErrorMessage()),
				SQLState: status.GetSqlState(),
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (op *operation) status(ctx context.Context) (*hiveserver.TGetOperationStatusResp, error) {
	var status *hiveserver.TGetOperationStatusResp
	err := op.s.call(ctx, func(ctx context.Context) (*hiveserver.TStatus, error) {
		r, err := op.s.client.GetOperationStatus(ctx, &hiveserver.TGetOperationStatusReq{OperationHandle: op.handle})
		if err != nil {
			return nil, err
		}
		status = r
		return r.Status, nil
	})
	return status, err
}

// cancel has the server end the statement and returns cause.
func (op *operation) cancel(cause error) error {
	err := op.s.call(context.Background(), func(ctx context.Context) (*hiveserver.TStatus, error) {
		r, err := op.s.client.CancelOperation(ctx, &hiveserver.TCancelOperationReq{OperationHandle: op.handle})
		if err != nil {
			return nil, err
		}
		return r.Status, nil
	})
	if err != nil {
		op.s.broken = true // the server ends what an ended session runs
	}
	return cause
}

// close has the server forget the statement, or end it if it still runs.
func (op *operation) close() {
	err := op.s.call(context.Background(), func(ctx context.Context) (*hiveserver.TStatus, error) {
		r, err := op.s.client.CloseOperation(ctx, &hiveserver.TCloseOperationReq{OperationHandle: op.handle})
		if err != nil {
			return nil, err
		}
		return r.Status, nil
	})
	if err != nil {
		op.s.broken = true
	}
}

// fetch returns the next rows as columns, and how many there are; none at the
// end.
func (op *operation) fetch(ctx context.Context) ([]column, int, error) {
	var set *hiveserver.TRowSet
	err := op.s.call(ctx, func(ctx context.Context) (*hiveserver.TStatus, error) {
		r, err := op.s.client.FetchResults(ctx, &hiveserver.TFetchResultsReq{
			OperationHandle: op.handle, Orientation: hiveserver.TFetchOrientation_FETCH_NEXT, MaxRows: fetchRows,
		})
		if err != nil {
			return nil, err
		}
		set = r.Results
		return r.Status, nil
	})
	if err != nil {
		return nil, 0, err
	}
	return columnsOf(set.GetColumns())
}

// column returns the value in a row.
type column func(row int) any

var errColumns = errors.New("spark: columns of unequal length")

// columnsOf gives access to columns of all kinds.
func columnsOf(columns []*hiveserver.TColumn) ([]column, int, error) {
	all, rows := make([]column, len(columns)), 0
	for i, c := range columns {
		var n int
		all[i], n = columnOf(c)
		if i > 0 && n != rows {
			return nil, 0, errColumns
		}
		rows = n
	}
	return all, rows, nil
}

func columnOf(c *hiveserver.TColumn) (column, int) {
	switch {
	case c.BoolVal != nil:
		return values(c.BoolVal.Values, c.BoolVal.Nulls)
	case c.ByteVal != nil:
		return values(c.ByteVal.Values, c.ByteVal.Nulls)
	case c.I16Val != nil:
		return values(c.I16Val.Values, c.I16Val.Nulls)
	case c.I32Val != nil:
		return values(c.I32Val.Values, c.I32Val.Nulls)
	case c.I64Val != nil:
		return values(c.I64Val.Values, c.I64Val.Nulls)
	case c.DoubleVal != nil:
		return values(c.DoubleVal.Values, c.DoubleVal.Nulls)
	case c.StringVal != nil:
		return values(c.StringVal.Values, c.StringVal.Nulls)
	case c.BinaryVal != nil:
		return values(c.BinaryVal.Values, c.BinaryVal.Nulls)
	}
	return func(int) any { return nil }, 0
}

// values reads one column; a bit for each row says that it is NULL.
func values[T any](all []T, nulls []byte) (column, int) {
	return func(row int) any {
		if at := row / 8; at < len(nulls) && nulls[at]&(1<<(row%8)) != 0 {
			return nil
		}
		return all[row]
	}, len(all)
}
