package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// profiled does something once more, outside the measurement, with perf
// watching the server, and leaves the busiest functions in a file, with perf's
// data beside it. It needs a binary with symbols: leave -posthorn out.
func (b *bench) profiled(name string, s *server, do func() error) error {
	if b.profiles == "" {
		return nil
	}
	if err := os.MkdirAll(b.profiles, 0o755); err != nil {
		return err
	}
	file := filepath.Join(b.profiles, strings.ReplaceAll(name, " ", "-"))
	data := file + ".data"
	perf := exec.Command("perf", "record", "-q", "-g", "-F", "997", "-o", data, "-p", fmt.Sprint(s.pid()))
	if err := perf.Start(); err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond) // it attaches
	err := do()
	_ = perf.Process.Signal(os.Interrupt)
	_ = perf.Wait() // the interrupt is how it was meant to end
	if err != nil {
		return err
	}
	var text []byte
	for _, how := range [][]string{{"--no-children", "-g", "none"}, {"--children", "-g", "none"}} {
		out, err := exec.Command("perf", append([]string{"report", "--stdio", "-i", data, "--percent-limit", "1"}, how...)...).Output()
		if err != nil {
			out = fmt.Appendf(nil, "perf report: %v (too short to be seen?)\n", err)
		}
		text = append(text, out...)
	}
	return os.WriteFile(file+".txt", text, 0o644)
}
