package spinnakertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// FaultKind is what goes wrong.
type FaultKind int

// The faults. Those of tasks are for Halyard only.
const (
	// Slow answers after Delay.
	Slow FaultKind = iota + 1
	// Status answers Code with Spring's error object.
	Status
	// HTML answers 200 with a page, as proxies before a server do.
	HTML
	// Huge answers 200 with a JSON text of Bytes bytes.
	Huge
	// Drop ends the connection without an answer.
	Drop
	// LoseTask forgets the task that the request submits, its work undone.
	LoseTask
	// LoseDoneTask forgets it too, but its work is done.
	LoseDoneTask
	// TimeOutTask ends it as TIMED_OUT.
	TimeOutTask
	// InterruptTask ends it as INTERRUPTED.
	InterruptTask
	// Restart forgets all tasks and drops this request, as a daemon that is
	// killed while it runs them.
	Restart
)

// Fault is something that goes wrong with requests.
type Fault struct {
	Kind FaultKind
	// Method and Prefix of the path choose the requests. "": any.
	Method, Prefix string
	// Times is how many of them. 0: one; below 0: all.
	Times int
	// Delay is for Slow, Code for Status, Bytes for Huge.
	Delay time.Duration
	Code  int
	Bytes int64
}

// Request is a request that a server was sent.
type Request struct {
	// Method and URI, the latter with its query.
	Method, URI string
	Header      http.Header
	Body        string
}

// seam is what both servers have: faults and a record.
type seam struct {
	mu       sync.Mutex
	faults   []Fault
	requests []Request
}

// Inject makes later requests go wrong. The first fault that fits a request
// is the one that it meets.
func (s *seam) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	s.faults = append(s.faults, f)
}

// Requests returns what was sent so far, in order.
func (s *seam) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// meet returns the fault that a request meets, and records the request. The
// caller holds the lock.
func (s *seam) meet(r *http.Request, body []byte) Fault {
	s.requests = append(s.requests, Request{Method: r.Method, URI: r.RequestURI, Header: r.Header.Clone(), Body: string(body)})
	for i := range s.faults {
		f := &s.faults[i]
		if f.Times == 0 || (f.Method != "" && f.Method != r.Method) || !strings.HasPrefix(r.URL.Path, f.Prefix) {
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		return *f
	}
	return Fault{}
}

// play plays a fault that is an answer, or reports that the request goes on.
func (f Fault) play(w http.ResponseWriter, r *http.Request) (done bool) {
	switch f.Kind {
	case Slow:
		select {
		case <-time.After(f.Delay):
			return false
		case <-r.Context().Done():
			return true
		}
	case Status:
		springError(w, r, f.Code, "")
	case HTML:
		w.Header().Set("Content-Type", "text/html;charset=UTF-8")
		fmt.Fprint(w, "<html><body>Sign in</body></html>")
	case Huge:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `"`)
		chunk := []byte(strings.Repeat("x", 32<<10))
		for left := f.Bytes; left > 0; left -= int64(len(chunk)) {
			if _, err := w.Write(chunk); err != nil {
				return true
			}
		}
		fmt.Fprint(w, `"`)
	case Drop, Restart:
		panic(http.ErrAbortHandler)
	default:
		return false
	}
	return true
}

// springError answers as Spring Boot's BasicErrorController.
func springError(w http.ResponseWriter, r *http.Request, code int, message string) {
	page := map[string]any{
		"timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000+00:00"),
		"status":    code, "error": http.StatusText(code), "path": r.URL.Path,
	}
	if message != "" {
		page["message"] = message
	}
	answer(w, code, page)
}

// answer writes JSON.
func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // whoever asked has gone
}
