package components

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/leak"
)

// childEnv makes the test binary a process that wants the toy component.
const childEnv = "CLOVER_TEST_COMPONENT_CHILD"

func TestMain(m *testing.M) {
	if counter := os.Getenv(childEnv); counter != "" {
		if _, err := toy(counter).Ensure(context.Background(), os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	leak.Main(m)
}

// toy is a component that takes a moment to make and notes in the file
// counter that it was.
func toy(counter string) Component {
	return Component{
		Name: "toy", Title: "Toy", Version: "1", verb: "making", cost: "a moment", binary: "bin/toy",
		install: func(_ context.Context, dir string, _ io.Writer) error {
			f, err := os.OpenFile(counter, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err := f.WriteString("made\n"); err != nil {
				return err
			}
			time.Sleep(300 * time.Millisecond) // the work that it stands for
			if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "bin", "toy"), []byte("toy"), 0o600)
		},
	}
}

// made counts how often the toy was made.
func made(t *testing.T, counter string) int {
	t.Helper()
	data, err := os.ReadFile(counter)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return bytes.Count(data, []byte("made"))
}

func TestEnsureMakesOnceAcrossProcesses(t *testing.T) {
	t.Setenv("CLOVER_CACHE", t.TempDir())
	counter := filepath.Join(t.TempDir(), "counter")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var outputs [6]bytes.Buffer
	var wg sync.WaitGroup
	for i := range outputs {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), exe)
			cmd.Env = append(os.Environ(), childEnv+"="+counter)
			cmd.Stderr = &outputs[i]
			if err := cmd.Run(); err != nil {
				t.Errorf("child: %v: %s", err, &outputs[i])
			}
		})
	}
	wg.Wait()
	if n := made(t, counter); n != 1 {
		t.Errorf("made %d times, want once", n)
	}
	path, err := toy(counter).Ensure(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o100 == 0 {
		t.Errorf("%s is %v, %v, want a program", path, info, err)
	}
	if n := made(t, counter); n != 1 {
		t.Errorf("made %d times, want once", n)
	}
}

func TestEnsureAfterAFailure(t *testing.T) {
	t.Setenv("CLOVER_CACHE", t.TempDir())
	counter := filepath.Join(t.TempDir(), "counter")
	c := toy(counter)
	broken := errors.New("no space left")
	c.install = func(_ context.Context, dir string, _ io.Writer) error {
		if err := os.WriteFile(filepath.Join(dir, "half"), nil, 0o600); err != nil {
			return err
		}
		return broken
	}
	_, err := c.Ensure(t.Context(), io.Discard)
	var typed *Error
	if !errors.As(err, &typed) || typed.Component != "Toy 1" || !errors.Is(err, broken) {
		t.Fatalf("error is %v", err)
	}
	// What a killed process would have left behind is no obstacle either.
	home, err := c.folder()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(home+".part", "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	var progress strings.Builder
	if _, err := toy(counter).Ensure(t.Context(), &progress); err != nil {
		t.Fatal(err)
	}
	if got := progress.String(); !strings.HasPrefix(got, "clover: making Toy 1 (a moment, once) ...\nclover: Toy 1 ready after ") {
		t.Errorf("progress is %q", got)
	}
	if parts, err := filepath.Glob(home + ".part"); err != nil || len(parts) > 0 {
		t.Errorf("%q is left, %v", parts, err)
	}
}

func TestEnsureStopsWaiting(t *testing.T) {
	t.Setenv("CLOVER_CACHE", t.TempDir())
	c := toy(filepath.Join(t.TempDir(), "counter"))
	home, err := c.folder()
	if err != nil {
		t.Fatal(err)
	}
	unlock, ok, err := Lock(home + ".lock")
	if err != nil || !ok {
		t.Fatalf("lock: %v, %v", ok, err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	var progress strings.Builder
	_, err = c.Ensure(ctx, writer(func(p []byte) (int, error) {
		cancel() // as soon as it says that it waits
		return progress.Write(p)
	}))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want %v", err, context.Canceled)
	}
	if got, want := progress.String(), "clover: waiting for another process that is making Toy 1 ...\n"; got != want {
		t.Errorf("progress is %q, want %q", got, want)
	}
}

// writer is a function as an [io.Writer].
type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestFind(t *testing.T) {
	for _, c := range All() {
		found, err := Find(c.Name)
		if err != nil || found.String() != c.String() {
			t.Errorf("Find(%q) is %v, %v", c.Name, found, err)
		}
	}
	if _, err := Find("hunter"); err == nil || !strings.Contains(err.Error(), `"prometheus"`) {
		t.Errorf("Find of an unknown name: %v, want the known ones", err)
	}
}
