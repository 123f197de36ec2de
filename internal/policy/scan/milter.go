package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/d--j/go-milter"

	"posthorn/internal/base/mail"
)

// MilterOptions say how one milter is asked (protocol version 6; older ones
// are understood).
type MilterOptions struct {
	// Name stands in reasons.
	Name     string
	Endpoint Endpoint
	Dial     Dial
	Default  Fallback
	// ConnectTimeout bounds connecting, CommandTimeout the answer to a command
	// of the session, ContentTimeout header section, body and verdict
	// together; 0 leaves it to the context.
	ConnectTimeout, CommandTimeout, ContentTimeout time.Duration
	// MaxBody is the largest body that may replace the message's; 0 refuses to
	// replace it, and then a milter that insists counts as down.
	MaxBody int64
	// Told, unless nil, hears after each question whether it was answered.
	Told func(ctx context.Context, err error)
}

// Milters are the milters of a server, in the order in which they are asked.
type Milters struct{ filters []MilterOptions }

// NewMilters returns milters; nothing connects yet.
func NewMilters(filters ...MilterOptions) *Milters { return &Milters{filters} }

// MilterSession is the milters' view of one SMTP session; it belongs to one
// goroutine. Its methods follow the session: Connect, Helo, then for each
// message Mail, Rcpt, Data, Content, or Abort instead of the rest. An answer
// other than Pass concerns the command alone, but for Discard, which concerns
// the message; the session may go on after each.
type MilterSession struct {
	filters   []*filter
	macros    macros
	discarded *Answer
}

// Session begins a session. The caller owes a Close.
func (m *Milters) Session() *MilterSession {
	s := &MilterSession{macros: macros{}}
	for i := range m.filters {
		s.filters = append(s.filters, &filter{o: &m.filters[i]})
	}
	return s
}

// Macro sets a macro for the commands that follow, "" removes it. Names of one
// letter are "i" (queue id), "j" (our host name), "v"; others are written in
// braces, {auth_authen} say. Those about client, reverse-path and forward-path
// are set by the session itself.
func (s *MilterSession) Macro(name, value string) {
	if value == "" {
		delete(s.macros, name)
		return
	}
	s.macros[name] = line(value, 1000)
}

// macros implements milter.Macros; a milter may ask without the braces.
type macros map[string]string

func (m macros) Get(name string) string {
	value, _ := m.GetEx(name)
	return value
}

func (m macros) GetEx(name string) (string, bool) {
	value, ok := m[name]
	if !ok {
		value, ok = m["{"+name+"}"]
	}
	return value, ok
}

// Connect tells the milters who is there; hostname is the verified name or "".
// A second Connect begins anew with those that have not failed.
func (s *MilterSession) Connect(ctx context.Context, client netip.AddrPort, hostname string) Answer {
	addr, family := client.Addr().Unmap().WithZone(""), milter.FamilyInet
	switch {
	case !addr.IsValid():
		family = milter.FamilyUnknown
	case addr.Is6():
		family = milter.FamilyInet6
	}
	name := hostname
	if name == "" {
		name = "[" + addr.String() + "]"
	}
	name = line(name, mail.MaxDomain)
	s.Macro("{client_addr}", addr.String())
	s.Macro("{client_port}", fmt.Sprint(client.Port()))
	s.Macro("{client_name}", name)
	s.Macro("{client_ptr}", name)
	for _, f := range s.filters {
		f.close()
		f.gone, f.done, f.mailed = false, false, false
	}
	return s.step(ctx, func(ctx context.Context, f *filter) Answer {
		if err := f.connect(ctx, s.macros); err != nil {
			return f.fail(err)
		}
		return f.ask(ctx, func() (*milter.Action, error) { return f.session.Conn(name, family, client.Port(), addr.String()) })
	})
}

// Helo tells the milters the client's own name, and again after STARTTLS.
func (s *MilterSession) Helo(ctx context.Context, name string) Answer {
	s.Abort(ctx)
	return s.step(ctx, func(ctx context.Context, f *filter) Answer {
		return f.ask(ctx, func() (*milter.Action, error) { return f.session.Helo(line(name, 512)) })
	})
}

// Mail begins a message.
func (s *MilterSession) Mail(ctx context.Context, sender mail.Address, params ...string) Answer {
	s.Abort(ctx)
	s.Macro("{mail_addr}", sender.String())
	s.Macro("{mail_host}", sender.Domain)
	return s.step(ctx, func(ctx context.Context, f *filter) Answer {
		f.mailed = true
		return f.ask(ctx, func() (*milter.Action, error) { return f.session.Mail(sender.String(), arguments(params)) })
	})
}

// Rcpt names a forward-path the server itself accepts. Reject and TempFail
// concern this one alone.
func (s *MilterSession) Rcpt(ctx context.Context, recipient mail.Address, params ...string) Answer {
	s.Macro("{rcpt_addr}", recipient.String())
	s.Macro("{rcpt_host}", recipient.Domain)
	defer s.Macro("{rcpt_addr}", "")
	defer s.Macro("{rcpt_host}", "")
	return s.step(ctx, func(ctx context.Context, f *filter) Answer {
		return f.ask(ctx, func() (*milter.Action, error) { return f.session.Rcpt(recipient.String(), arguments(params)) })
	})
}

// arguments joins ESMTP parameters as the protocol wants them.
func arguments(params []string) string {
	clean := make([]string, len(params))
	for i, p := range params {
		clean[i] = line(p, 1000)
	}
	return strings.Join(clean, "\x00")
}

// Data tells that the content comes next.
func (s *MilterSession) Data(ctx context.Context) Answer {
	return s.step(ctx, func(ctx context.Context, f *filter) Answer {
		return f.ask(ctx, func() (*milter.Action, error) { return f.session.DataStart() })
	})
}

// Content shows the message to one milter after the other, each with what
// those before it have changed, and ends the message. The only error is that
// of reading body.
func (s *MilterSession) Content(ctx context.Context, header []byte, body *io.SectionReader) (Answer, error) {
	var total Answer
	var failed error
	verdict := s.step(ctx, func(ctx context.Context, f *filter) Answer {
		a, err := f.content(ctx, header, io.NewSectionReader(body, 0, body.Size()))
		if failed = err; err != nil {
			return Answer{Action: MilterTempFail, Reply: unavailable().Because(err)}
		}
		if a.Action > MilterQuarantine {
			return a
		}
		header = a.Edits.Header(header)
		if replacement, ok := a.Edits.Body(); ok {
			body = io.NewSectionReader(bytes.NewReader(replacement), 0, int64(len(replacement)))
		}
		total.Edits = append(total.Edits, a.Edits...)
		if a.Action == MilterQuarantine {
			total.Action, total.Filter, total.Reason = a.Action, a.Filter, a.Reason
		}
		return Answer{}
	})
	s.Abort(ctx)
	if failed != nil || verdict.Action != MilterPass {
		return verdict, failed
	}
	return total, nil
}

// Abort tells the milters that the message, if there is one, is over.
func (s *MilterSession) Abort(ctx context.Context) {
	s.discarded = nil
	for _, f := range s.filters {
		if f.mailed && f.session != nil && f.err == nil {
			f.abort(ctx)
		}
		f.mailed, f.done = false, false
	}
}

// Err says which milters were given up and why, nil for none. With the default
// action accept nothing else does.
func (s *MilterSession) Err() error {
	var all []error
	for _, f := range s.filters {
		if f.err != nil {
			all = append(all, fmt.Errorf("milter %s: %w", f.o.Name, f.err))
		}
	}
	return errors.Join(all...)
}

// Close ends the session and its connections.
func (s *MilterSession) Close() {
	for _, f := range s.filters {
		f.close()
	}
}

// step asks every milter that is still interested, until one objects.
func (s *MilterSession) step(ctx context.Context, ask func(context.Context, *filter) Answer) Answer {
	if s.discarded != nil {
		return *s.discarded
	}
	for _, f := range s.filters {
		if f.gone || f.done {
			continue
		}
		a := f.fallback()
		if f.err == nil {
			a = ask(ctx, f)
			if f.o.Told != nil {
				f.o.Told(ctx, f.err)
			}
		}
		if a.Action == MilterDiscard {
			s.discarded = &a
		}
		if a.Action != MilterPass {
			return a
		}
	}
	return Answer{}
}
