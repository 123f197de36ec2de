package scan

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"posthorn/internal/base/limit"
)

// eicar is the harmless test file every scanner knows, put together here so
// that this source file is not found itself.
var eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-` + `STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

// clamd starts a real one whose signatures the test makes.
func clamd(t testing.TB) *ClamAV {
	t.Helper()
	dir := folder(t)
	socket := filepath.Join(dir, "socket")
	signatures := fmt.Sprintf("Posthorn.Test:0:*:%s\nEicar-Test-Signature:0:*:%s\n",
		hex.EncodeToString([]byte("POSTHORN-TEST-VIRUS")), hex.EncodeToString([]byte(eicar)))
	config := fmt.Sprintf("DatabaseDirectory %s\nLocalSocket %s\nForeground yes\nStreamMaxLength 1M\nMaxThreads 4\n", dir, socket)
	for name, content := range map[string]string{"test.ndb": signatures, "clamd.conf": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	d := start(t, dir, socket, "clamd", "--config-file="+filepath.Join(dir, "clamd.conf"))
	t.Logf("clamd listens after %s with %s", time.Since(began).Round(time.Millisecond), d.resident(t))
	return NewClamAV(ClamAVOptions{Endpoint: Endpoint{"unix", socket}, Dial: dialer, Timeout: time.Minute, Width: 4, Queue: 100})
}

func TestRealClamdFindsWhatItKnows(t *testing.T) {
	t.Parallel()
	c, ctx := clamd(t), t.Context()
	if err := c.Ping(ctx); err != nil {
		t.Error(err)
	}
	if v, err := c.Version(ctx); err != nil || !strings.HasPrefix(v, "ClamAV ") {
		t.Errorf("version %q, %v", v, err)
	}
	big := strings.Repeat("0123456789abcde\n", 200<<10/16)
	mail := func(content string) string {
		return "From: a@example.test\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64Lines([]byte(content))
	}
	for _, x := range []struct {
		name, message, signature string
		err                      error
	}{
		{"clean", "Subject: x\r\n\r\nhello\r\n", "", nil},
		{"empty", "", "", nil},
		{"clean and long", big, "", nil},
		{"word", "Subject: x\r\n\r\nPOSTHORN-TEST-VIRUS\r\n", "Posthorn.Test.UNOFFICIAL", nil},
		{"at the end", big + "POSTHORN-TEST-VIRUS", "Posthorn.Test.UNOFFICIAL", nil},
		{"attached", mail(eicar), "Eicar-Test-Signature.UNOFFICIAL", nil},
		{"too large", strings.Repeat(big, 20), "", ErrTooLarge},
	} {
		t.Run(x.name, func(t *testing.T) {
			f, err := c.Scan(ctx, strings.NewReader(x.message))
			if !errors.Is(err, x.err) || f.Signature != x.signature || f.Infected != (x.signature != "") {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
	t.Run("many at once", func(t *testing.T) {
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				f, err := c.Scan(ctx, io.MultiReader(strings.NewReader(big), strings.NewReader(strings.Repeat("POSTHORN-TEST-VIRUS", i%2))))
				if err != nil || f.Infected != (i%2 == 1) {
					t.Errorf("%+v, %v", f, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestClamdAnswersAreTakenApart(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]struct {
		signature string
		err       error
	}{
		"stream: OK":               {"", nil},
		"stream: Eicar FOUND":      {"Eicar", nil},
		"stream: a\r\nb\x1b FOUND": {"a??b?", nil},
		"stream:  FOUND":           {"", ErrAnswer},
		"stream: Heuristics.Limits.Exceeded.MaxFile FOUND": {"", ErrTooLarge},
		"INSTREAM size limit exceeded. ERROR":              {"", ErrTooLarge},
		"stream: Can't allocate memory ERROR":              {"", ErrScanner},
		"":                                                 {"", ErrAnswer},
		"220 mail.example ESMTP":                           {"", ErrAnswer},
	} {
		f, err := finding(answer)
		if f.Signature != want.signature || !errors.Is(err, want.err) {
			t.Errorf("%q: %+v, %v", answer, f, err)
		}
	}
}

func TestClamdFailuresAreToldApart(t *testing.T) {
	t.Parallel()
	disk := errors.New("disk")
	for _, x := range []struct {
		name    string
		dial    Dial
		message io.Reader
		err     error
	}{
		{"down", refuse, nil, ErrDown},
		{"hangs", pipe(hang), nil, context.DeadlineExceeded},
		{"takes nothing", pipe(func(c net.Conn) { time.Sleep(time.Hour) }), nil, context.DeadlineExceeded},
		{"hangs up at once", pipe(func(net.Conn) {}), nil, ErrDown},
		{"hangs up midway", pipe(func(c net.Conn) { _, _ = io.CopyN(io.Discard, c, 1000) }), nil, ErrDown},
		{"hangs up within its answer", pipe(func(c net.Conn) { _, _ = c.Write([]byte("stream: O")) }), nil, ErrDown},
		{"answers garbage", pipe(func(c net.Conn) { go hang(c); _, _ = c.Write([]byte("\xff\xfe garbage\x00")) }), nil, ErrAnswer},
		{"answers without end", pipe(func(c net.Conn) {
			for err := error(nil); err == nil; {
				_, err = c.Write(bytes.Repeat([]byte("x"), 999))
			}
		}), nil, ErrAnswer},
		{"answers early and hangs up", pipe(func(c net.Conn) {
			_, _ = io.CopyN(io.Discard, c, 1000)
			_, _ = c.Write([]byte("INSTREAM size limit exceeded. ERROR\x00"))
		}), nil, ErrTooLarge},
		{"message cannot be read", pipe(hang), iotest.ErrReader(disk), disk},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := NewClamAV(ClamAVOptions{Dial: x.dial, Timeout: time.Minute, Width: 1})
				if x.message == nil {
					x.message = bytes.NewReader(make([]byte, 1<<20))
				}
				f, err := c.Scan(t.Context(), x.message)
				if !errors.Is(err, x.err) || f.Infected {
					t.Errorf("%+v, %v", f, err)
				}
				if c.gate.Inside() != 0 {
					t.Error("a place is still taken")
				}
				time.Sleep(2 * time.Hour) // until the scanner has ended
			})
		})
	}
}

func TestScansWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewClamAV(ClamAVOptions{Dial: pipe(hang), Timeout: time.Minute, Width: 1, Queue: 1})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { _, _ = c.Scan(t.Context(), strings.NewReader("x")) })
			synctest.Wait()
		}
		if _, err := c.Scan(t.Context(), strings.NewReader("x")); !errors.Is(err, limit.ErrCrowded) {
			t.Error(err)
		}
		wg.Wait()
	})
}

func TestEndedContextInterruptsAScan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewClamAV(ClamAVOptions{Dial: pipe(hang), Width: 1})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := c.Ping(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestEndpointsAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"127.0.0.1:3310": "127.0.0.1:3310", "tcp:h:1": "h:1", "unix:/run/x": "unix:/run/x", "/run/x": "unix:/run/x",
		"local:/run/x": "unix:/run/x", "inet:8891@localhost": "localhost:8891", "inet6:8891@[::1]": "[::1]:8891", "inet:h:1": "h:1",
		"": "", "h": "", "inet:8891": "", ":25": "", "unix:h:1": "", "local:x": "",
	} {
		e, err := ParseEndpoint(text)
		if (err == nil) != (want != "") || err == nil && e.String() != want {
			t.Errorf("%q: %v, %v", text, e, err)
		}
	}
}

func FuzzFinding(f *testing.F) {
	for _, answer := range []string{"stream: OK", "stream: Eicar FOUND", "INSTREAM size limit exceeded. ERROR", "stream: \r\n FOUND"} {
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		got, err := finding(answer)
		if got.Infected != (got.Signature != "") || err != nil && got.Infected || len(got.Signature) > maxWord || strings.ContainsAny(got.Signature, "\r\n\x00") {
			t.Fatalf("%+v, %v", got, err)
		}
		if err == nil && !got.Infected && answer != "stream: OK" && answer != "OK" {
			t.Fatalf("%q counts as clean", answer)
		}
	})
}

func FuzzParseEndpoint(f *testing.F) {
	for _, s := range []string{"127.0.0.1:1", "unix:/x", "inet:1@h", "local:x", "[::1]:2", "tcp:h:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseEndpoint(s)
		if err != nil {
			return
		}
		if again, err := ParseEndpoint(e.String()); err != nil || again != e {
			t.Fatalf("%q: %+v, again %+v, %v", s, e, again, err)
		}
	})
}
