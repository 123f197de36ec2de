package scan

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/d--j/go-milter"
)

// packet is one packet of the protocol.
func packet(code byte, data string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)+1))
	return append(append(b, code), data...)
}

// options is a negotiation: version 6, all actions, every event with a reply.
var options = packet('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x00\x00\x00")

// rawMilter plays a milter octet by octet: greeting answers the negotiation,
// then each command is told to go on, except that answers says otherwise. It
// hangs up after a nil answer.
func rawMilter(greeting []byte, answers map[byte][]byte) Dial {
	return pipe(func(c net.Conn) {
		head := make([]byte, 5)
		for {
			if _, err := io.ReadFull(c, head); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(head))-1); err != nil {
				return
			}
			reply, special := answers[head[4]]
			switch {
			case head[4] == 'O':
				reply = greeting
			case head[4] == 'D', head[4] == 'A', head[4] == 'Q':
				continue
			case !special:
				reply = packet('c', "")
			case reply == nil:
				return
			}
			if _, err := c.Write(reply); err != nil {
				return
			}
		}
	})
}

// atEnd answers the end of the message by these packets and "go on".
func atEnd(packets ...[]byte) Dial {
	return rawMilter(options, map[byte][]byte{'E': slices.Concat(append(packets, packet('c', ""))...)})
}

// wholeSession runs a session to its end and returns the first answer that is
// none, or the last.
func wholeSession(t *testing.T, s *MilterSession) Answer {
	t.Helper()
	ctx := t.Context()
	for _, ask := range []func() Answer{
		func() Answer { return s.Connect(ctx, client, "host.example") },
		func() Answer { return s.Helo(ctx, "client.example") },
		func() Answer { return s.Mail(ctx, address(t, "a@example.test")) },
		func() Answer { return s.Rcpt(ctx, address(t, "b@example.test")) },
		func() Answer { return s.Data(ctx) },
	} {
		if a := ask(); a.Action != MilterPass {
			return a
		}
	}
	return content(t, s, "body\r\n")
}

func TestMilterFailuresLeadToTheDefaultAction(t *testing.T) {
	t.Parallel()
	macros := "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x00\x00\x00"
	for _, x := range []struct {
		name string
		dial Dial
		err  error
	}{
		{"down", refuse, ErrDown},
		{"hangs", pipe(hang), context.DeadlineExceeded},
		{"takes nothing", pipe(func(net.Conn) { time.Sleep(time.Hour) }), context.DeadlineExceeded},
		{"hangs up at once", pipe(func(net.Conn) {}), ErrDown},
		{"hangs up later", rawMilter(options, map[byte][]byte{'R': nil}), ErrDown},
		{"hangs up at the end", rawMilter(options, map[byte][]byte{'E': nil}), ErrDown},
		{"hangs later", rawMilter(options, map[byte][]byte{'B': {}}), context.DeadlineExceeded},
		{"half a packet", rawMilter(options, map[byte][]byte{'M': {0, 0, 0, 9, 'y'}}), context.DeadlineExceeded},
		{"speaks SMTP", pipe(func(c net.Conn) { _, _ = c.Write([]byte("220 hello\r\n")); hang(c) }), context.DeadlineExceeded},
		{"answers SMTP", rawMilter([]byte("220 mail.example ESMTP\r\n"), nil), ErrAnswer},
		{"empty packet", rawMilter(options, map[byte][]byte{'H': {0, 0, 0, 0}}), ErrAnswer},
		{"huge packet", rawMilter(options, map[byte][]byte{'H': {0x1f, 0xff, 0xff, 0xff}}), ErrAnswer},
		{"empty negotiation", rawMilter([]byte{0, 0, 0, 0}, nil), ErrAnswer},
		{"short negotiation", rawMilter(packet('O', "\x00"), nil), ErrAnswer},
		{"version 99", rawMilter(packet('O', "\x00\x00\x00\x63\x00\x00\x00\x00\x00\x00\x00\x00"), nil), ErrAnswer},
		{"unknown actions", rawMilter(packet('O', "\x00\x00\x00\x06\xff\x00\x00\x00\x00\x00\x00\x00"), nil), ErrAnswer},
		{"macros of no stage", rawMilter(packet('O', macros+"\x00\x00\x00\x09i\x00"), nil), ErrAnswer},
		{"macros twice", rawMilter(packet('O', macros+"\x00\x00\x00\x02i\x00\x00\x00\x00\x02j\x00"), nil), ErrAnswer},
		{"macros without end", rawMilter(packet('O', macros+"\x00\x00\x00\x02iiiiii"), nil), ErrAnswer},
		{"long negotiation", rawMilter(packet('O', macros+strings.Repeat("x", 9000)), nil), ErrAnswer},
		{"unknown answer", rawMilter(options, map[byte][]byte{'C': packet('\n', "")}), ErrAnswer},
		{"skip where there is nothing to skip", rawMilter(options, map[byte][]byte{'M': packet('s', "")}), ErrAnswer},
		{"progress without end", rawMilter(options, map[byte][]byte{'M': slices.Repeat(packet('p', ""), maxPackets+1)}), ErrAnswer},
		{"reply of another kind", rawMilter(options, map[byte][]byte{'M': packet('y', "250 2.0.0 ok\x00")}), ErrAnswer},
		{"reply that is none", rawMilter(options, map[byte][]byte{'M': packet('y', "550\r\n250 ok\x00")}), ErrAnswer},
		{"reply of many lines", rawMilter(options, map[byte][]byte{'M': packet('y', strings.Repeat("550-x\r\n", 40)+"550 x\x00")}), ErrAnswer},
		{"field with lines", atEnd(packet('h', "X-A\x00a\r\nBcc: c@example.test\x00")), ErrAnswer},
		{"field with a name of lines", atEnd(packet('i', "\x00\x00\x00\x00X\r\nY\x00a\x00")), ErrAnswer},
		{"field without end", atEnd(packet('h', "X-A\x00a")), ErrAnswer},
		{"change without index", atEnd(packet('m', "\x00")), ErrAnswer},
		{"recipient with lines", atEnd(packet('+', "<a@b.example>\r\nRCPT TO:<c@d.example>\x00")), ErrAnswer},
		{"sender that is none", atEnd(packet('e', "<x y>\x00")), ErrAnswer},
		{"body nobody negotiated", atEnd(packet('b', "body")), ErrAnswer},
		{"many changes", atEnd(slices.Repeat(packet('h', "X\x00y\x00"), maxEdits+1)), ErrAnswer},
		{"endless changes", atEnd(slices.Repeat(packet('q', strings.Repeat("x", 60_000)), 40)), ErrAnswer},
	} {
		if x.name == "body nobody negotiated" { // the actions of options less that one
			limited := packet('O', "\x00\x00\x00\x06\x00\x00\x01\xfd\x00\x00\x00\x00")
			x.dial = rawMilter(limited, map[byte][]byte{'E': slices.Concat(packet('b', "body"), packet('c', ""))})
		}
		for _, fallback := range []Fallback{FallbackAccept, FallbackTempFail, FallbackReject} {
			t.Run(x.name+" "+fallback.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					const patience = time.Minute
					s := NewMilters(MilterOptions{Name: "raw", Dial: x.dial, Default: fallback, MaxBody: 1 << 20,
						ConnectTimeout: patience, CommandTimeout: patience, ContentTimeout: patience}).Session()
					want := map[Fallback]MilterAction{FallbackAccept: MilterPass, FallbackTempFail: MilterTempFail, FallbackReject: MilterReject}[fallback]
					began := time.Now()
					for range 2 { // and again in the same session, at once
						if a := wholeSession(t, s); a.Action != want || len(a.Edits) > 0 || (want == MilterPass) != a.Reply.IsZero() {
							t.Errorf("%+v", a)
						}
					}
					if err := s.Err(); !errors.Is(err, x.err) || strings.ContainsAny(err.Error(), "\r\n\x00") {
						t.Errorf("%v", err)
					}
					if took := time.Since(began); took > patience {
						t.Errorf("%s", took)
					}
					s.Close()
					time.Sleep(2 * time.Hour) // until the milter has ended
				})
			})
		}
	}
}

func TestHugeFieldsDoNotMakeAMilterHangUp(t *testing.T) {
	t.Parallel()
	w := &backendWorld{}
	s := NewMilters(w.serve(t, MilterOptions{})).Session()
	defer s.Close()
	talk(t, s, "data")
	w.heard()
	header := "X: " + strings.Repeat(strings.Repeat("y", 900)+"\r\n ", 300) + "z\r\nNul: a\x00b\r\nAfter: 1\r\n\r\n"
	if a, err := s.Content(t.Context(), []byte(header), section("")); a.Action != MilterPass || err != nil || s.Err() != nil {
		t.Errorf("%+v, %v, %v", a, err, s.Err())
	}
	heard := w.heard()
	if len(heard) != 5 || len(heard[0]) > 64<<10 || heard[1] != "header Nul=a?b" || heard[2] != "header After=1" {
		t.Errorf("heard %d events, %d octets, %q", len(heard), len(heard[0]), heard[1:])
	}
}

func TestProgressKeepsAMilterAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewMilters(MilterOptions{Name: "raw", Dial: atEnd(slices.Repeat(packet('p', ""), 50)), Default: FallbackReject}).Session()
		defer s.Close()
		if a := wholeSession(t, s); a.Action != MilterReject || s.Err() == nil { // options ask for bodies, which were not offered
			t.Errorf("%+v", a)
		}
		s = NewMilters(MilterOptions{Name: "raw", Dial: atEnd(slices.Repeat(packet('p', ""), 50)), Default: FallbackReject, MaxBody: 1}).Session()
		defer s.Close()
		if a := wholeSession(t, s); a.Action != MilterPass {
			t.Errorf("%+v, %v", a, s.Err())
		}
	})
}

func TestBodyIsReplacedInPieces(t *testing.T) {
	t.Parallel()
	piece := packet('b', strings.Repeat("0123456\n", 8000))
	for most, want := range map[int64]MilterAction{1 << 20: MilterPass, 300_000: MilterReject} {
		s := NewMilters(MilterOptions{Name: "raw", Dial: atEnd(slices.Repeat(piece, 10)), Default: FallbackReject, MaxBody: most}).Session()
		a := wholeSession(t, s)
		if a.Action != want {
			t.Errorf("%d: %v %v", most, a.Action, s.Err())
		}
		if body, ok := a.Edits.Body(); ok && (len(body) != 10*8000*9 || !strings.HasPrefix(string(body), "0123456\r\n")) {
			t.Errorf("%d octets", len(body))
		}
		s.Close()
	}
}

func TestMilterRepliesAreTakenApart(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"550 5.7.1 no":               "550 5.7.1 no",
		"550 no":                     "550 5.7.1 no",
		"451":                        "451 4.7.1 ",
		"550-5.7.1 a\r\n550 5.7.1 b": "550 5.7.1 a / b",
		"550-5.7.1 a\n550 5.7.2 b\n": "550 5.7.1 a / b",
		"550 4.7.1 wrong class":      "550 5.7.1 4.7.1 wrong class",
		"550 a\x00b\x1bc":            "550 5.7.1 a?b?c",
		"550 a\rb":                   "550 5.7.1 a?b",
		"550 9999.1.1 x":             "550 5.7.1 9999.1.1 x",
		"250 ok":                     "",
		"600 x":                      "",
		"55":                         "",
		"":                           "",
		"550-only":                   "",
		"550 a\r\n250 b":             "",
		"550-a\r\n451 b":             "",
		"550 a\r\n\r\n":              "550 5.7.1 a",
		"550x":                       "",
		"+550 x":                     "",
	} {
		r, err := milterReply(raw)
		if (err == nil) != (want != "") || err == nil && r.String() != want {
			t.Errorf("%q: %q, %v", raw, r.String(), err)
		}
	}
}

func TestFallbacksHaveNames(t *testing.T) {
	t.Parallel()
	for _, f := range []Fallback{FallbackAccept, FallbackTempFail, FallbackReject} {
		if got, err := ParseFallback(f.String()); err != nil || got != f {
			t.Errorf("%s: %v, %v", f, got, err)
		}
	}
	if _, err := ParseFallback("drop"); err == nil {
		t.Error("drop is a fallback")
	}
}

func FuzzMilterReply(f *testing.F) {
	f.Add("550-5.7.1 a\r\n550 5.7.1 b")
	f.Add("421 \r\n.\r\n")
	f.Fuzz(func(t *testing.T, raw string) {
		r, err := milterReply(raw)
		if err != nil {
			return
		}
		wire := string(r.Append(nil))
		if n := strings.Count(wire, "\r\n"); n != len(r.Text) || n > maxReplyLines || strings.Count(wire, "\n") != n || strings.Count(wire, "\r") != n {
			t.Fatalf("%q", wire)
		}
	})
}

func FuzzMilterConn(f *testing.F) {
	f.Add(slices.Concat(options, packet('c', ""), packet('c', ""), packet('c', ""), packet('r', "")))
	f.Add(slices.Concat(options, slices.Repeat(packet('c', ""), 9), packet('h', "X\x00y\x00"), packet('m', "\x00\x00\x00\x01X\x00\x00"), packet('a', "")))
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, said []byte) {
		dial := pipe(func(c net.Conn) {
			go hang(c)
			_, _ = c.Write(said)
		})
		s := NewMilters(MilterOptions{Name: "raw", Dial: dial, Default: FallbackTempFail, MaxBody: 1 << 20}).Session()
		defer s.Close()
		a := wholeSession(t, s)
		header := string(a.Edits.Header([]byte(testHeader)))
		if !strings.HasSuffix(header, "\r\n\r\n") || strings.Contains(strings.TrimSuffix(header, "\r\n\r\n"), "\r\n\r\n") {
			t.Fatalf("%q", header)
		}
	})
}

var _ milter.Macros = macros{}
