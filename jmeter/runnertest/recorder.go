package runnertest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Record is a request that has arrived.
type Record struct {
	Method, URI string
	Header      http.Header
	Body        string
	Proto       string
	Time        time.Time
	Remote      string // the client's end of the connection
}

// Recorder is a handler that keeps what arrives, by the first part of the
// path. What it answers depends on the last part of the path.
type Recorder struct {
	mu      sync.Mutex
	records map[string][]Record
}

// ServeHTTP records and answers.
func (r *Recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body) // a client that goes away has sent what it has
	rec := Record{
		Method: q.Method, URI: q.RequestURI, Header: q.Header.Clone(), Body: string(body),
		Proto: q.Proto, Time: time.Now(), Remote: q.RemoteAddr,
	}
	parts := strings.Split(strings.TrimPrefix(q.URL.Path, "/"), "/")
	r.mu.Lock()
	if r.records == nil {
		r.records = map[string][]Record{}
	}
	r.records[parts[0]] = append(r.records[parts[0]], rec)
	r.mu.Unlock()
	answer(w, q, parts)
}

func answer(w http.ResponseWriter, q *http.Request, parts []string) {
	switch last := parts[len(parts)-1]; last {
	case "redirect":
		http.Redirect(w, q, "/"+parts[0]+"/target", http.StatusFound)
	case "see-other":
		http.Redirect(w, q, "/"+parts[0]+"/target", http.StatusSeeOther)
	case "json":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"items":[{"id":42,"name":"a b&c"},{"id":43}],"token":"t-1","n":1.5,"ok":true}`)
	case "header":
		w.Header().Set("X-Token", "h-7")
	case "cookie":
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "abc", Path: "/" + parts[0]})
	case "404", "500":
		code := http.StatusNotFound
		if last == "500" {
			code = http.StatusInternalServerError
		}
		w.WriteHeader(code)
		fmt.Fprint(w, "sorry")
	case "slow":
		time.Sleep(300 * time.Millisecond) // what it is for
		fmt.Fprint(w, "at last")
	case "never":
		<-q.Context().Done() // the client has given up
	default:
		fmt.Fprint(w, "hello [left]mid ${__time()}[right] world")
	}
}

// Take returns what has arrived below a path and forgets it.
func (r *Recorder) Take(name string) []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	records := r.records[name]
	delete(r.records, name)
	return records
}
