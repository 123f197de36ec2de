package memconn

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var a, b = netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.2:25")

func TestBytesArriveAndEnd(t *testing.T) {
	c, s := Pair(a, b)
	big := strings.Repeat("x", 3*capacity)
	go func() {
		_, _ = io.WriteString(c, big)
		_ = c.Close()
	}()
	got, err := io.ReadAll(s)
	if err != nil || string(got) != big {
		t.Fatalf("got %d octets, %v", len(got), err)
	}
	if s.RemoteAddr().String() != "192.0.2.1:1000" {
		t.Error(s.RemoteAddr())
	}
	if _, err := s.Write([]byte("late")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("writing to a closed peer: %v", err)
	}
}

func TestDeadlinesRunInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := Pair(a, b)
		start := time.Now()
		_ = s.SetReadDeadline(start.Add(5 * time.Minute))
		_, err := s.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 5*time.Minute {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		go func() {
			time.Sleep(time.Second)
			_ = s.SetReadDeadline(time.Now())
		}()
		_ = s.SetReadDeadline(time.Time{})
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	})
}
