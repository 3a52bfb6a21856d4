package protocol

// Queue holds the requests of a connection that wait for their responses, for
// protocols that answer in the order of the requests.
//
// After a loss the order alone does not tell which response is whose. Then a
// response is given to a request only where it begins at the very byte up to
// which the client had received when it sent the request, and the client is
// known not to have sent lost requests together with it; all other requests
// and responses stay alone. The zero value is the empty queue of a connection
// that is seen from its start.
type Queue struct {
	pending []entry
	first   int

	unsure bool  // which request is answered next is not known
	lost   bool  // requests may be missing after the last that was added
	whole  bool  // and there is one in any case
	last   int64 // what the client had received when it sent the last request
	begun  bool  // last is set

	pipelines bool  // requests were sent at once
	resumed   bool  // the order was found again after a loss
	waits     int   // how often a request was sent when all earlier were answered
	sliding   bool  // and before those sent earlier were answered
	answered  int64 // offset of the end of the last response that had its request
}

// entry is a request that waits.
type entry struct {
	exchange  *Exchange
	start     int64 // offset of its first byte
	acked     int64 // what its client had received when it sent it
	afterLoss bool  // requests before it may be missing
	burst     bool  // it, or one that was sent at once with it, is after a loss
	certain   bool  // and the lost ones were sent at once with it too
}

// MaxPending is how many requests of a connection may wait.
const MaxPending = 1024

// minWaits is how often a client that sends requests at once must have waited
// for all answers before it is taken to do so always.
const minWaits = 3

// Full reports whether there is no room for another request.
func (q *Queue) Full() bool { return len(q.pending)-q.first >= MaxPending }

// Push adds a request whose first byte is at offset start, sent when its
// client had received acked bytes.
func (q *Queue) Push(x *Exchange, start, acked int64) {
	e := entry{exchange: x, start: start, acked: acked, afterLoss: q.lost}
	same := q.begun && q.last == acked // nothing came from the server since the last request
	if same && !q.lost && !q.pipelines {
		q.pipelines = true
		q.unsure = q.unsure || q.resumed && q.waits < minWaits
	}
	if q.first == len(q.pending) && !q.unsure && !q.lost && q.begun && !same {
		q.waits++
	}
	if q.first < len(q.pending) {
		head, tail := &q.pending[q.first], &q.pending[len(q.pending)-1]
		if !q.unsure && head.acked < acked && acked <= q.answered {
			q.sliding = true
			q.unsure = q.resumed // in the belief that it waits
		}
		e.burst, e.certain = same && tail.burst, same && tail.certain
	}
	if q.lost {
		e.burst = true
		e.certain = e.certain || q.whole && (same || acked <= q.answered)
	}
	q.lost, q.whole, q.last, q.begun = false, false, acked, true
	if q.first > 0 && len(q.pending) == cap(q.pending) {
		n := copy(q.pending, q.pending[q.first:])
		clear(q.pending[n:])
		q.pending, q.first = q.pending[:n], 0
	}
	q.pending = append(q.pending, e)
}

// RequestsLost notes that requests may be missing from here on: the client's
// stream has a gap. whole says that it began between two requests, so that
// there is at least one more in it.
func (q *Queue) RequestsLost(whole bool) { q.lost, q.whole = true, q.whole || whole }

// ResponsesLost notes that responses may be missing from here on.
func (q *Queue) ResponsesLost() { q.unsure = true }

// Joined notes that the connection is not seen from its start.
func (q *Queue) Joined() { q.lost, q.unsure, q.answered = true, true, -1 }

// Answered notes where a response ended that had its request.
func (q *Queue) Answered(end int64) { q.answered = end }

// Unsure reports whether a loss keeps responses from their requests now.
func (q *Queue) Unsure() bool { return q.unsure }

// Pop returns the request that the response answers whose first byte is at
// offset start and whose server had received acked bytes; nil where it was
// not seen or cannot be told. Requests whose responses are lost are given to
// lost.
func (q *Queue) Pop(start, acked int64, lost func(*Exchange)) *Exchange {
	if q.first == len(q.pending) {
		q.unsure = q.unsure || q.lost
		return nil
	}
	head := &q.pending[q.first]
	// The second and third: no answer is sent before its request.
	q.unsure = q.unsure || head.afterLoss || start < head.acked || acked <= head.start
	if !q.unsure {
		return q.pop()
	}
	for next, ok := q.nextBurst(); ok && next.acked <= start; next, ok = q.nextBurst() {
		for q.pending[q.first].acked != next.acked { // its client had gone on
			lost(q.pop())
		}
	}
	head = &q.pending[q.first]
	if head.acked != start || head.start >= acked || head.certain {
		return nil
	}
	if q.sliding || q.pipelines && (head.burst || q.waits < minWaits) {
		return nil
	}
	q.unsure, q.resumed = false, true
	return q.pop()
}

// nextBurst is the first request that was sent after something came from the
// server since the head was sent.
func (q *Queue) nextBurst() (entry, bool) {
	for _, e := range q.pending[q.first:] {
		if e.acked != q.pending[q.first].acked {
			return e, true
		}
	}
	return entry{}, false
}

// pop removes the head and, when nothing is left, what long queues took.
func (q *Queue) pop() *Exchange {
	x := q.pending[q.first].exchange
	q.pending[q.first] = entry{}
	q.first++
	if q.first == len(q.pending) {
		q.pending, q.first = q.pending[:0], 0
		if cap(q.pending) > 16 {
			q.pending = nil
		}
	}
	return x
}

// Drain removes all requests, oldest first.
func (q *Queue) Drain(each func(*Exchange)) {
	for q.first < len(q.pending) {
		each(q.pop())
	}
}
