package alert

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

func openSpool(t *testing.T, dir string, o SpoolOptions) *Spool {
	t.Helper()
	s, err := OpenSpool(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func numbered(n int) *Alert {
	return &Alert{ID: strconv.Itoa(n), SignatureID: uint32(n), Payload: make([]byte, 100)}
}

// takeAll reads what a sink has not got yet.
func takeAll(t *testing.T, r *Reader, done bool) (ids []int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	for r.s.waitingFor(r.name) > 0 {
		batch, err := r.Next(ctx, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range batch {
			ids = append(ids, int(a.SignatureID))
		}
		if !done {
			break
		}
		if err := r.Done(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	return ids
}

func TestSpoolKeepsUntilEachSinkHasIt(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, dir, SpoolOptions{})
	reader := func(name string) *Reader {
		r, err := s.Reader(name)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b := reader("a"), reader("b/2")
	for n := range 10 {
		if err := s.Append("eve", "p"+strconv.Itoa(n), numbered(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Append("eve", "p-only", nil); err != nil {
		t.Fatal(err)
	}
	if got := takeAll(t, a, true); fmt.Sprint(got) != "[0 1 2 3 4 5 6 7 8 9]" {
		t.Errorf("a got %v", got)
	}
	if got := takeAll(t, b, false); fmt.Sprint(got) != "[0 1 2]" {
		t.Errorf("b got %v", got)
	}
	if _, err := OpenSpool(dir, SpoolOptions{}); err == nil {
		t.Error("two have the spool")
	}
	s.Close()
	if err := s.Append("eve", "", nil); !errors.Is(err, ErrSpoolClosed) {
		t.Errorf("%v", err)
	}
	s = openSpool(t, dir, SpoolOptions{})
	if p := s.Position("eve"); p != "p-only" {
		t.Errorf("position %q", p)
	}
	if got := takeAll(t, reader("a"), true); got != nil {
		t.Errorf("a got %v again", got)
	}
	if got := takeAll(t, reader("b/2"), true); fmt.Sprint(got) != "[0 1 2 3 4 5 6 7 8 9]" {
		t.Errorf("b got %v", got)
	}
	if st := s.Stats(); st.Next != 10 || st.Torn != 0 {
		t.Errorf("%+v", st)
	}
}

func TestSpoolIsBounded(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, dir, SpoolOptions{MaxBytes: 4 * minSegmentBytes})
	slow, err := s.Reader("slow")
	if err != nil {
		t.Fatal(err)
	}
	const all = 5000
	for n := range all {
		if err := s.Append("eve", strconv.Itoa(n), numbered(n)); err != nil {
			t.Fatal(err)
		}
	}
	st := s.Stats()
	if st.Bytes > 5*minSegmentBytes || st.DroppedMax == 0 || st.DroppedMax != st.Oldest || st.Next != all {
		t.Errorf("%+v", st)
	}
	got := takeAll(t, slow, true)
	if slow.Lost() != st.DroppedMax || len(got)+int(slow.Lost()) != all || got[0] != int(st.Oldest) || got[len(got)-1] != all-1 {
		t.Errorf("got %d from %d on, lost %d, %+v", len(got), got[0], slow.Lost(), st)
	}
	if err := s.Append("eve", "", numbered(1)); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Bytes > minSegmentBytes {
		t.Errorf("what all have got is still there: %+v", st)
	}
	s.o.MaxAge = time.Hour
	s.mu.Lock()
	rolled := s.roll()
	s.segments[0].last = time.Now().Add(-2 * time.Hour)
	s.mu.Unlock()
	if rolled != nil {
		t.Fatal(rolled)
	}
	if err := s.Append("eve", "end", numbered(2)); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.DroppedAge != 1 {
		t.Errorf("%+v", st)
	}
	if s.Position("eve") != "end" {
		t.Error("the position went with the old")
	}
}

// TestSpoolMendsWhatAKillHasLeft cuts the last file at every place.
func TestSpoolMendsWhatAKillHasLeft(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, dir, SpoolOptions{})
	ends := []int64{s.size()}
	for n := range 3 {
		if err := s.Append("eve", strconv.Itoa(n+1), numbered(n)); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, s.size())
	}
	path := s.path(s.segments[0])
	s.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(data); cut >= 0; cut -= 7 {
		whole := -1
		for i, e := range ends {
			if int64(cut) >= e {
				whole = i
			}
		}
		if err := os.WriteFile(path, data[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s := openSpool(t, dir, SpoolOptions{})
		want := ""
		if whole > 0 {
			want = strconv.Itoa(whole)
		}
		if got := s.Position("eve"); got != want || s.Stats().Next != uint64(max(whole, 0)) {
			t.Errorf("cut at %d: position %q, want %q; %+v", cut, got, want, s.Stats())
		}
		if err := s.Append("eve", "on", numbered(9)); err != nil {
			t.Error(err)
		}
		s.Close()
	}
}

// sinkLog notes what is delivered, as a sink that may be away.
type sinkLog struct {
	mu   sync.Mutex
	ids  []uint32
	fail func(batch []Alert) error
}

func (l *sinkLog) Deliver(_ context.Context, batch []Alert) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		if err := l.fail(batch); err != nil {
			return err
		}
	}
	for _, a := range batch {
		l.ids = append(l.ids, a.SignatureID)
	}
	return nil
}

func (l *sinkLog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ids)
}

func TestRelayDeliversInOrderWhileOthersFail(t *testing.T) {
	w := newWriter(t)
	var good, flaky, picky sinkLog
	calls := 0
	flaky.fail = func([]Alert) error {
		if calls++; calls%3 != 0 {
			return errors.New("away")
		}
		return nil
	}
	picky.fail = func(batch []Alert) error {
		for _, a := range batch {
			if a.SignatureID%10 == 0 {
				return fmt.Errorf("not %d: %w", a.SignatureID, ErrRejected)
			}
		}
		return nil
	}
	relay, err := NewRelay(openSpool(t, t.TempDir(), SpoolOptions{}), []Source{fileOf(w.path)}, []Outlet{
		{Name: "good", Sink: &good}, {Name: "flaky", Sink: &flaky, Batch: 5}, {Name: "picky", Sink: &picky},
	}, RelayOptions{FirstRetry: time.Millisecond, LastRetry: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	w.alerts(50)
	testutil.Eventually(t, 20*time.Second, func() (bool, string) { return good.len() > 0, "nothing read" })
	w.rename(true)
	w.alerts(50)
	testutil.Eventually(t, 20*time.Second, func() (bool, string) {
		return good.len() == 100 && flaky.len() == 100 && picky.len()+int(relay.Stats()["picky"].Rejected) == 100, fmt.Sprintf("%+v", relay.Stats())
	})
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, l := range []*sinkLog{&good, &flaky} {
		for i, id := range l.ids {
			if int(id) != i+1 {
				t.Fatalf("alert %d is %d", i+1, id)
			}
		}
	}
	if s := relay.Stats(); s["picky"].Rejected != 10 || s["picky"].Delivered != 90 || s["flaky"].Retries == 0 || s["good"].Delivered != 100 || s["good"].Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

// killed makes the test's own program a relay that is killed.
const killed = "CLOVER_TEST_RELAY"

func init() {
	if dir := os.Getenv(killed); dir != "" {
		relayUntilKilled(dir)
	}
}

// relayUntilKilled writes each alert delivered to a file, as a line.
func relayUntilKilled(dir string) {
	spool, err := OpenSpool(filepath.Join(dir, "spool"), SpoolOptions{MaxBytes: 16 * minSegmentBytes})
	if err != nil {
		panic(err)
	}
	out, err := os.OpenFile(filepath.Join(dir, "out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	sink := SinkFunc(func(_ context.Context, batch []Alert) error {
		for _, a := range batch {
			if _, err := fmt.Fprintln(out, a.SignatureID, a.ID); err != nil {
				return err
			}
		}
		return nil
	})
	relay, err := NewRelay(spool, []Source{NewFile(filepath.Join(dir, "eve.json"), EVE, FileOptions{Poll: time.Millisecond})},
		[]Outlet{{Name: "out", Sink: sink, Batch: 10}}, RelayOptions{})
	if err != nil {
		panic(err)
	}
	panic(relay.Run(context.Background()))
}

// deliveredTo returns the alerts delivered, by number, and checks that each has
// one identity and none is left out.
func deliveredTo(t *testing.T, dir string) map[int]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	got := map[int]string{}
	last := 0
	for line := range strings.Lines(string(data)) {
		number, id, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || !strings.HasSuffix(line, "\n") {
			continue // cut off by a kill, and delivered again
		}
		if before, ok := got[n]; ok && before != id {
			t.Fatalf("alert %d has the identities %s and %s", n, before, id)
		}
		if n > last+1 {
			t.Fatalf("alert %d after %d", n, last)
		}
		got[n], last = id, n
	}
	return got
}

// TestKilledRelayLosesNothing kills the relay again and again while the log
// grows and rotates.
func TestKilledRelayLosesNothing(t *testing.T) {
	w := newWriter(t)
	dir := filepath.Dir(w.path)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	begin := func() (kill func()) {
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), killed+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return func() { _, _ = cmd.Process.Kill(), cmd.Wait() }
	}
	await := func() {
		t.Helper()
		testutil.Eventually(t, 20*time.Second, func() (bool, string) {
			got := deliveredTo(t, dir)
			return len(got) == w.n, fmt.Sprintf("%d of %d", len(got), w.n)
		})
	}
	kill := begin()
	w.alerts(20)
	await() // a log that was rotated before anybody has read it is not read
	for range 12 {
		for range 4 {
			w.alerts(20)
			if rand.N(3) == 0 {
				w.rename(true)
			}
			time.Sleep(rand.N(15 * time.Millisecond)) // when it is killed differs
		}
		kill()
		kill = begin()
	}
	defer kill()
	await()
}

func BenchmarkFollow(b *testing.B) {
	line := []byte(eveLine(7))
	format := EVE()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, a, err := format.Next(line); a == nil || err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSpool(b *testing.B) {
	s, err := OpenSpool(b.TempDir(), SpoolOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	a := numbered(1)
	for b.Loop() {
		if err := s.Append("eve", "position", a); err != nil {
			b.Fatal(err)
		}
	}
}
