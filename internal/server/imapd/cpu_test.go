//go:build unix

package imapd

import (
	"syscall"
	"testing"
	"time"
)

// cpu is what the process has used so far; beside others on a machine it says
// more than the clock.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reportCPU reports the milliseconds of CPU since start for each turn.
func reportCPU(b *testing.B, start time.Duration) {
	b.ReportMetric(float64(cpu(b)-start)/float64(time.Millisecond)/float64(b.N), "cpu-ms/op")
}
