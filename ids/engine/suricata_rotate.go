package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// rotateCheck is how often the size of the log is looked at.
const rotateCheck = time.Second

// Run implements Lifecycle. Beside that it rotates the file of alerts.
func (s *Suricata) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var rotating sync.WaitGroup
	defer rotating.Wait()
	defer cancel()
	if s.options.EVE.Socket == "" && s.options.EVE.Redis == nil {
		rotating.Go(func() { s.rotateLarge(ctx) })
	}
	return s.process.Run(ctx)
}

func (s *Suricata) rotateLarge(ctx context.Context) {
	check := time.NewTicker(rotateCheck)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-check.C:
		}
		info, err := os.Stat(s.options.EVE.File)
		if err != nil || info.Size() < s.options.EVE.MaxBytes || !s.State().Running {
			continue
		}
		if err := s.RotateLogs(ctx); err != nil && ctx.Err() == nil {
			s.logger.Warn("engine: rotate the log of alerts", "error", err)
		}
	}
}

// RotateLogs renames the file of alerts to FILE.1, that to FILE.2 and so on,
// removes what is more than EVE.Keep of them, and has the engine begin a new
// one. Run does it when the file has EVE.MaxBytes.
func (s *Suricata) RotateLogs(ctx context.Context) error {
	s.rotate.Lock()
	defer s.rotate.Unlock()
	file := s.options.EVE.File
	name := func(n int) string { return fmt.Sprintf("%s.%d", file, n) }
	if err := os.Remove(name(s.options.EVE.Keep)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for n := s.options.EVE.Keep - 1; n > 0; n-- {
		if err := os.Rename(name(n), name(n+1)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(file, name(1)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return command(ctx, s.socket, "reopen-log-files", nil)
}
