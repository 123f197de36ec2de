package smtpd

import (
	"errors"
	"time"

	"posthorn/internal/policy/evidence"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
	"posthorn/internal/wire/smtp"
)

// errFarTooBig ends a connection that does not stop sending (M-GEN-11).
var errFarTooBig = errors.New("smtpd: message far exceeds the size limit")

// content takes the octets of one message as they come: into the store's
// draft and through the parser. It holds none of them.
type content struct {
	server *Server
	draft  store.Draft
	parser *mime.Parser
	size   int64 // as received
	limit  int64 // 0: none
	most   int64 // where patience ends, 0: never
	over   bool
	folded bool               // the first line continues the field before it, which would be ours
	failed error              // of the store; the rest is read and dropped, to stay in step
	chunks bool               // content by BDAT: ends watches it
	ends   smtp.LineEnds      // DATA has its own watch
	normal *smtp.Normalizer   // nil unless line ends are mended
	strip  *evidence.Stripper // takes out what others say in our name; nil: nothing
	buf    []byte             // what normal writes
	meter  meter
	// stalled is how long the store stood still: the end of the content may have
	// lain in the socket all the while, and its sender waits.
	stalled time.Duration
}

// standstill is how long one write to the store takes that stood still.
const standstill = 10 * time.Second

func newContent(tx *transaction) (*content, error) {
	s := tx.s
	draft, err := s.c.server.Store.NewDraft(s.c.work, int64(s.facts.DeclaredSize))
	if err != nil {
		return nil, err
	}
	b := &content{server: s.c.server, draft: draft, parser: s.c.server.parsers.Get().(*mime.Parser)}
	limits := s.limits()
	b.limit = int64(limits.Size)
	b.most = b.limit + b.limit/2
	if s.c.settings.BareLineEnds == "normalise" && !tx.binary {
		b.normal = &smtp.Normalizer{}
	}
	if id := s.results(); id != "" || len(limits.Marks) > 0 {
		b.strip = evidence.NewStripper(id, kept{b}, limits.Marks...)
	}
	b.meter.until = time.Now().Add(s.c.settings.MessageTime)
	return b, nil
}

// results is the name in results that claim to be ours, "" for nobody's.
func (s *session) results() string {
	if r := s.c.server.Results; r != nil && s.facts.Login == nil {
		return r()
	}
	return ""
}

// Write implements io.Writer. Its only error is errFarTooBig.
func (b *content) Write(p []byte) (int, error) {
	if b.size == 0 && len(p) > 0 {
		b.folded = p[0] == ' ' || p[0] == '\t'
	}
	b.size += int64(len(p))
	if b.limit > 0 && b.size > b.limit {
		if b.size > b.most {
			return 0, errFarTooBig
		}
		b.over = true
	}
	if b.over || b.failed != nil {
		return len(p), nil
	}
	if b.chunks {
		b.ends.Note(p)
	}
	if b.normal == nil {
		b.store(p)
		return len(p), nil
	}
	b.buf = b.normal.Append(b.buf[:0], p)
	b.store(b.buf)
	return len(p), nil
}

func (b *content) store(p []byte) {
	if b.strip != nil {
		_, _ = b.strip.Write(p) // kept never fails
		return
	}
	b.keep(p)
}

// kept is where the stripper writes to.
type kept struct{ b *content }

func (k kept) Write(p []byte) (int, error) {
	k.b.keep(p)
	return len(p), nil
}

func (b *content) keep(p []byte) {
	began := time.Now()
	_, err := b.draft.Write(p)
	if took := time.Since(began); took >= standstill {
		b.stalled += took
	}
	if err != nil {
		b.failed = err
		return
	}
	_, _ = b.parser.Write(p) // never fails
}

// finish ends the content.
func (b *content) finish() (*mime.Structure, error) {
	if b.normal != nil {
		b.store(b.normal.End(b.buf[:0]))
	}
	if b.strip != nil {
		_ = b.strip.Close() // kept never fails
	}
	return b.parser.Close(), b.failed
}

// later is the content as checks read it: most messages need no second look.
type later struct {
	draft store.Draft
	body  store.Body
	err   error
}

// ReadAt implements io.ReaderAt.
func (l *later) ReadAt(p []byte, off int64) (int, error) {
	if l.body == nil && l.err == nil {
		l.body, l.err = l.draft.Open()
	}
	if l.err != nil {
		return 0, l.err
	}
	return l.body.ReadAt(p, off)
}

func (l *later) close() {
	if l.body != nil {
		_ = l.body.Close() // it was only read
	}
}

// close gives draft and parser back; the draft stays with the store if it was
// accepted.
func (b *content) close() {
	b.draft.Discard()
	b.parser.Reset()
	b.server.parsers.Put(b.parser)
}
