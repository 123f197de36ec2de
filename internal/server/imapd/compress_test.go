package imapd

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/flate"
)

// packedConn is the client's side of COMPRESS. pack makes of what is written at
// once what is sent.
type packedConn struct {
	net.Conn
	in   io.Reader
	pack func([]byte) []byte
}

func (p *packedConn) Read(b []byte) (int, error) { return p.in.Read(b) }

func (p *packedConn) Write(b []byte) (int, error) {
	if _, err := p.Conn.Write(p.pack(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// syncFlush is how most clients flush.
func syncFlush() func([]byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	return func(b []byte) []byte {
		out.Reset()
		_, _ = w.Write(b) // a bytes.Buffer takes all
		_ = w.Flush()
		return bytes.Clone(out.Bytes())
	}
}

// bits are written as RFC 1951 §3.1.1 has them, and as zlib sends them: what
// fills no octet waits.
type bits struct {
	out  []byte
	last uint64
	n    uint
}

// put writes n bits of v, the least significant first.
func (b *bits) put(v uint64, n uint) {
	b.last |= v << b.n
	for b.n += n; b.n >= 8; b.n -= 8 {
		b.out = append(b.out, byte(b.last))
		b.last >>= 8
	}
}

// code writes n bits of v, the most significant first.
func (b *bits) code(v, n uint) {
	for n > 0 {
		n--
		b.put(uint64(v>>n&1), 1)
	}
}

// partialFlush is zlib's Z_PARTIAL_FLUSH (isync, mutt): an empty block with
// fixed codes, of which up to seven bits are sent only with what follows.
func partialFlush() func([]byte) []byte {
	var b bits
	return func(text []byte) []byte {
		b.out = nil
		b.put(0b010, 3)
		for _, c := range text {
			if c < 144 {
				b.code(0x30+uint(c), 8)
			} else {
				b.code(0x190+uint(c)-144, 9)
			}
		}
		b.put(0, 7)
		b.put(0b010, 3)
		b.put(0, 7)
		return b.out
	}
}

// flushes are the ways clients flush.
var flushes = map[string]func() func([]byte) []byte{"sync": syncFlush, "partial": partialFlush}

// packed turns COMPRESS on.
func packed(conn net.Conn, pack func([]byte) []byte) net.Conn {
	return &packedConn{conn, flate.NewReader(bufio.NewReader(conn)), pack}
}

// compress turns COMPRESS on.
func (c *client) compress(pack func([]byte) []byte) error {
	if r, _, err := c.do("COMPRESS DEFLATE"); err != nil || !strings.HasPrefix(r, "OK") {
		return fmt.Errorf("COMPRESS: %s %v", r, err)
	}
	c.conn = packed(c.conn, pack)
	c.in = bufio.NewReader(c.conn)
	return nil
}

// compress turns COMPRESS on.
func (k *talker) compress(pack func([]byte) []byte) {
	k.t.Helper()
	k.say("z COMPRESS DEFLATE")
	k.hear("z OK ")
	k.conn = packed(k.conn, pack)
	k.in = bufio.NewReader(k.conn)
}

func (w *world) talker(t *testing.T, name string) *talker {
	conn := w.dial()
	k := &talker{t, conn, bufio.NewReader(conn)}
	k.hear("* OK ")
	k.say("a LOGIN %s secret", name)
	k.hear("a OK ")
	return k
}

// TestCompressedSessionsHideNothing goes through a session in virtual time: an
// answer that waits for more of the client would never come.
func TestCompressedSessionsHideNothing(t *testing.T) {
	for name, flush := range flushes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer w.close()
				k := w.talker(t, "alice")
				k.say("b CAPABILITY")
				if !strings.Contains(k.hear("* CAPABILITY "), "COMPRESS=DEFLATE") {
					t.Error("COMPRESS is not offered")
				}
				k.hear("b OK ")
				k.compress(flush())
				k.say("b CAPABILITY")
				if strings.Contains(k.hear("* CAPABILITY "), "COMPRESS=DEFLATE") {
					t.Error("COMPRESS is offered twice")
				}
				k.hear("b OK ")
				k.say("c COMPRESS DEFLATE")
				k.hear("c NO [COMPRESSIONACTIVE] ")
				for i := range 20 { // the end of a command at each bit of an octet
					k.say("d%d STATUS \"%s\" (MESSAGES)", i, strings.Repeat("À", i)) // 17 bits each
					k.hear(fmt.Sprintf("d%d ", i))
				}
				text := "Subject: x\r\n\r\n" + strings.Repeat("Grüße\r\n", 20000)
				k.say("e APPEND INBOX {%d}", len(text))
				k.hear("+ ")
				k.say("%s", text)
				k.hear("e OK ")
				k.say("f SELECT INBOX")
				for !strings.HasPrefix(k.hear(""), "f OK ") {
				}
				k.say("g FETCH 1 BODY.PEEK[]")
				k.hear("* 1 FETCH ")
				got := make([]byte, len(text))
				if _, err := io.ReadFull(k.in, got); err != nil || string(got) != text {
					t.Error("the message came back different", err)
				}
				k.hear(")")
				k.hear("g OK ")
				k.idles(w)
				k.say("l LOGOUT")
				k.hear("* BYE ")
				k.hear("l OK ")
				if _, err := k.in.ReadByte(); err == nil {
					t.Error("more after LOGOUT")
				}
				_ = k.conn.Close()
			})
		})
	}
}

// idles hears of news, twice, and of none once DONE and IDLE came at once.
func (k *talker) idles(w *world) {
	k.say("h IDLE")
	k.hear("+ ")
	for n := range 2 {
		time.Sleep(10 * time.Minute) // more than a command may take
		if err := w.deliver("alice"); err != nil {
			k.t.Fatal(err)
		}
		k.hear(fmt.Sprintf("* %d EXISTS", n+2))
		k.hear("* ")
	}
	k.say("DONE")
	k.hear("h OK ")
	k.say("i IDLE\r\nDONE\r\nj NOOP")
	k.hear("+ ")
	k.hear("i OK ")
	k.hear("j OK ")
}

func TestOctetsThatAreNotCompressedEndTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		k := w.talker(t, "alice")
		k.compress(func(b []byte) []byte { return []byte("\xff\xff\xff\xff") })
		k.say("b NOOP")
		if heard, err := io.ReadAll(k.conn.(*packedConn).Conn); err != nil || len(heard) != 0 {
			t.Errorf("%q, %v", heard, err)
		}
		_ = k.conn.Close()
	})
}

// TestABombIsALineThatIsTooLong is hostile row 45: 200 KB that become 200 MB
// end the connection and take 16 MB at most.
func TestABombIsALineThatIsTooLong(t *testing.T) {
	const size = 200 << 20
	for name, begin := range map[string]string{
		"line": "b NOOP ", "literal": fmt.Sprintf("b LOGIN {%d+}\r\n", size), "search": fmt.Sprintf("b LIST \"\" {%d+}\r\n", size),
		"message": fmt.Sprintf("b APPEND INBOX {%d+}\r\n", size),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			defer w.close()
			k := w.talker(t, "alice")
			k.compress(syncFlush())
			bomb := bomb(begin, size)
			_ = k.conn.SetDeadline(time.Now().Add(time.Minute))
			grown, stop := growth()
			start := time.Now()
			go func() { // the server stops reading before all is written
				_, _ = k.conn.(*packedConn).Conn.Write(bomb)
			}()
			heard, err := io.ReadAll(k.in)
			took := time.Since(start)
			stop()
			if err != nil && err != io.ErrUnexpectedEOF { // the stream just ends
				t.Error(err)
			}
			if !strings.Contains(string(heard), "BAD") && !strings.Contains(string(heard), "BYE") {
				t.Errorf("%q", heard)
			}
			t.Logf("%d octets, %d MB more, %v: %q", len(bomb), grown.Load()>>20, took, heard)
			if grown.Load() > 16<<20 {
				t.Errorf("%d MB", grown.Load()>>20)
			}
			_ = k.conn.Close()
		})
	}
}

// bomb is a text and size octets behind it: pieces that refer to nothing
// before them, so that one of 1 MB will do.
func bomb(begin string, size int) []byte {
	page := syncFlush()(bytes.Repeat([]byte{'x'}, 1<<20))
	return append(syncFlush()([]byte(begin)), bytes.Repeat(page, size>>20)...)
}

// growth watches by how much the heap grows until stop.
func growth() (most *atomic.Int64, stop func()) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	most, before, end, ended := new(atomic.Int64), m.HeapAlloc, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), int64(m.HeapAlloc)-int64(before)))
			select {
			case <-end:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return most, func() { close(end); <-ended }
}
