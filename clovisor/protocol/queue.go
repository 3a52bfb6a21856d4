package protocol

// Queue holds the requests of a connection that wait for their responses, for
// protocols that answer in the order of the requests. It knows what can be
// said of that order after a loss. The zero value is an empty queue of a
// connection seen from its start.
type Queue struct {
	pending []entry
	first   int
	unsure  bool // responses may be missing since the last pairing

	pipelines bool  // requests were sent before earlier ones were answered
	answered  int64 // offset of the end of the last response that had its request
}

// entry is a request, or (exchange nil) a place where requests may be lost.
type entry struct {
	exchange *Exchange
	start    int64 // offset of its first byte
	acked    int64 // what its client had received when it sent it
	whole    bool  // of a place: whole requests are lost, not only the end of one
}

// MaxPending is how many requests of a connection may wait.
const MaxPending = 1024

// Len is the number of requests that wait.
func (q *Queue) Len() int {
	n := 0
	for _, e := range q.pending[q.first:] {
		if e.exchange != nil {
			n++
		}
	}
	return n
}

// Full reports whether there is no room for another request.
func (q *Queue) Full() bool { return len(q.pending)-q.first >= MaxPending }

// Push adds a request whose first byte is at offset start, sent when its
// client had received acked bytes.
func (q *Queue) Push(x *Exchange, start, acked int64) {
	if n := len(q.pending); n > q.first && q.pending[n-1].exchange != nil {
		q.pipelines = true
	}
	q.push(entry{exchange: x, start: start, acked: acked})
}

func (q *Queue) push(e entry) {
	if q.first > 0 && len(q.pending) == cap(q.pending) {
		n := copy(q.pending, q.pending[q.first:])
		clear(q.pending[n:])
		q.pending, q.first = q.pending[:n], 0
	}
	q.pending = append(q.pending, e)
}

// pop removes the head and, when nothing is left, what long queues took.
func (q *Queue) pop() entry {
	e := q.pending[q.first]
	q.pending[q.first] = entry{}
	q.first++
	if q.first == len(q.pending) {
		q.pending, q.first = q.pending[:0], 0
		if cap(q.pending) > 16 {
			q.pending = nil
		}
	}
	return e
}

// RequestsLost notes that requests may be missing from here on: the client's
// stream has a gap. whole says that it began between two requests, so that
// there is at least one more in it.
func (q *Queue) RequestsLost(whole bool) {
	if n := len(q.pending); n > q.first && q.pending[n-1].exchange == nil {
		q.pending[n-1].whole = q.pending[n-1].whole || whole
		return
	}
	q.push(entry{whole: whole})
}

// Joined notes that the connection is not seen from its start.
func (q *Queue) Joined() {
	q.answered = -1
	q.RequestsLost(false)
}

// Answered notes where a response ended that had its request.
func (q *Queue) Answered(end int64) { q.answered = end }

// ResponsesLost notes that responses may be missing from here on.
func (q *Queue) ResponsesLost() { q.unsure = true }

// Pop returns the request that the response answers whose first byte is at
// offset start and whose server had received acked bytes; nil where it was
// not seen or cannot be told. Requests whose responses are lost are given to
// lost.
func (q *Queue) Pop(start, acked int64, lost func(*Exchange)) *Exchange {
	for q.first < len(q.pending) {
		head := q.pending[q.first]
		next, ok := q.after()
		if head.exchange == nil {
			if !ok || !next.before(start, acked) {
				return nil // it answers one of the lost requests
			}
			q.pop()
			if next.acked <= q.answered && (head.whole || q.pipelines) {
				q.drop(lost) // sent at once with what was lost: the order is not known
				return nil
			}
			continue
		}
		if !q.unsure {
			return q.pop().exchange
		}
		switch {
		case ok && next.before(start, acked) && next.acked > head.acked:
			q.pop() // its client had gone on: its response is what is lost
			if head.exchange != nil {
				lost(head.exchange)
			}
		case ok && next.exchange != nil && next.acked == head.acked:
			q.drop(lost) // sent at once: which of them was answered is not known
			return nil
		default:
			q.unsure = false
			return q.pop().exchange
		}
	}
	return nil
}

// after returns the entry after the head.
func (q *Queue) after() (entry, bool) {
	if q.first+1 >= len(q.pending) {
		return entry{}, false
	}
	return q.pending[q.first+1], true
}

// before reports whether a response that begins at start, sent when acked
// bytes had been received, can be the answer to the request.
func (e entry) before(start, acked int64) bool {
	return e.acked <= start && e.start < acked
}

// drop removes the head and all requests that were sent at once with it.
func (q *Queue) drop(lost func(*Exchange)) {
	for acked := q.pending[q.first].acked; q.first < len(q.pending) && q.pending[q.first].acked == acked; {
		if e := q.pop(); e.exchange != nil {
			lost(e.exchange)
		}
	}
	// More of their responses may follow.
	q.RequestsLost(true)
	if n := len(q.pending); n-q.first > 1 { // the place is before what is left
		place := q.pending[n-1]
		copy(q.pending[q.first+1:], q.pending[q.first:n-1])
		q.pending[q.first] = place
	}
}

// Drain removes all requests, oldest first.
func (q *Queue) Drain(each func(*Exchange)) {
	for q.first < len(q.pending) {
		if e := q.pop(); e.exchange != nil {
			each(e.exchange)
		}
	}
}
