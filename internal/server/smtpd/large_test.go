package smtpd

import (
	"context"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"posthorn/internal/policy"
	"posthorn/internal/server/listen"
)

// floodText is many lines of 74 octets.
var floodText = strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234567\r\n", 1000)

// flood sends a message of any size without holding it.
type flood struct {
	script
	left int
	peak *uint64
}

func (f *flood) Read(b []byte) (int, error) {
	if f.at < 2 || f.rest != "" {
		return f.script.Read(b)
	}
	if f.left <= 0 {
		f.rest = ".\r\nQUIT\r\n"
		f.at = 0
		return f.script.Read(b)
	}
	n := copy(b, floodText)
	n -= n % 74
	if f.left -= n; f.left%(8<<20) < n {
		var m runtime.MemStats
		runtime.GC() // what is held counts, not what the collector has not come to yet
		runtime.ReadMemStats(&m)
		*f.peak = max(*f.peak, m.HeapInuse)
	}
	return n, nil
}

func TestAMessageOf100MBIsStreamed(t *testing.T) {
	s := benchServer(nil)
	settings := *s.Settings()
	s.Settings = func() *Settings { return &settings }
	s.Policy = unlimited{s.Policy}
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var peak uint64
	c := &flood{script: script{pieces: []string{"EHLO client.example\r\n", strings.Replace(envelopeCommands, " SIZE=2048", "", 1)}, rounds: 1}, left: 100 << 20, peak: &peak}
	s.Serve(context.Background(), listen.NewConn(c, listen.Info{Session: s.Idents.New(), Listener: "smtp", Client: netip.MustParseAddrPort("192.0.2.1:1")}))
	if peak == 0 {
		t.Fatal("nothing was measured")
	}
	if grown := int64(peak) - int64(before.HeapInuse); grown > 16<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
}

type unlimited struct{ Policy }

func (u unlimited) Limits(f *policy.Facts) policy.Limits {
	l := u.Policy.Limits(f)
	l.Size = 0
	return l
}
