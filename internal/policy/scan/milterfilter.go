package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/d--j/go-milter"

	"posthorn/internal/wire/mime"
)

// filter is one milter in one session.
type filter struct {
	o       *MilterOptions
	conn    *milterConn
	session *milter.ClientSession
	err     error // why it is asked no longer
	gone    bool  // it has accepted the connection
	done    bool  // it has accepted the message
	mailed  bool  // it has been told of a message that is not over
}

// Macros sent with each command unless the milter asks for others.
var milterMacros = map[milter.MacroStage][]milter.MacroName{
	milter.StageConnect: {"j", "v", "_", "{daemon_name}", "{daemon_addr}", "{daemon_port}", "{if_name}", "{if_addr}",
		"{client_addr}", "{client_name}", "{client_port}", "{client_ptr}"},
	milter.StageHelo: {"{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}"},
	milter.StageMail: {"i", "{auth_type}", "{auth_authen}", "{auth_author}", "{mail_addr}", "{mail_host}", "{mail_mailer}"},
	milter.StageRcpt: {"i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"},
	milter.StageData: {"i"},
	milter.StageEOH:  {"i"},
	milter.StageEOM:  {"i"},
}

// connect opens the connection and negotiates.
func (f *filter) connect(ctx context.Context, m macros) error {
	ctx, cancel := within(ctx, f.o.ConnectTimeout)
	defer cancel()
	conn, err := f.o.Dial(ctx, f.o.Endpoint.Network, f.o.Endpoint.Address)
	if err != nil {
		return f.why(ctx, err)
	}
	f.conn = &milterConn{Conn: conn}
	defer f.conn.begin(ctx)()
	options := []milter.Option{
		milter.WithDialer(f.conn),
		// Field values are passed without the space behind the colon, and
		// refused forward-paths not at all.
		milter.WithoutProtocol(milter.OptHeaderLeadingSpace | milter.OptRcptRej),
	}
	for stage, names := range milterMacros {
		options = append(options, milter.WithMacroRequest(stage, names))
	}
	if f.o.MaxBody <= 0 {
		options = append(options, milter.WithoutAction(milter.OptChangeBody))
	}
	f.session, err = milter.NewClient(f.o.Endpoint.Network, f.o.Endpoint.Address, options...).Session(m)
	return f.why(ctx, err)
}

var errOrder = errors.New("asked before Connect")

// ask sends one command.
func (f *filter) ask(ctx context.Context, send func() (*milter.Action, error)) Answer {
	if f.session == nil {
		return f.fail(errOrder)
	}
	ctx, cancel := within(ctx, f.o.CommandTimeout)
	defer cancel()
	defer f.conn.begin(ctx)()
	act, err := send()
	if err == nil {
		err = f.conn.flush()
	}
	if err != nil {
		return f.fail(f.why(ctx, err))
	}
	return f.judge(act)
}

// judge translates an action and remembers what it means for later.
func (f *filter) judge(act *milter.Action) Answer {
	a, done, err := answer(f.o.Name, act)
	if err != nil {
		return f.fail(fmt.Errorf("%w: %w", ErrAnswer, err))
	}
	if f.done = done && f.mailed; done && !f.mailed {
		f.gone = true
		f.close()
	}
	return a
}

// content shows the whole message to the milter.
func (f *filter) content(ctx context.Context, header []byte, body io.Reader) (Answer, error) {
	if f.session == nil {
		return f.fail(errOrder), nil
	}
	ctx, cancel := within(ctx, f.o.ContentTimeout)
	defer cancel()
	defer f.conn.begin(ctx)()
	act, err := f.header(header)
	if err == nil && act == nil {
		act, err = f.body(body)
	}
	var unread *readError
	switch {
	case errors.As(err, &unread):
		return Answer{}, unread.err
	case err != nil:
		return f.fail(f.why(ctx, err)), nil
	case act != nil:
		return f.judge(act), nil
	}
	return f.end(ctx), nil
}

// header sends the fields. It returns an action only if the milter has decided.
func (f *filter) header(header []byte) (*milter.Action, error) {
	for field := range mime.Fields(header) {
		if len(field.Name) == 0 {
			continue // not a field
		}
		f.conn.allow(0)
		if act, err := f.session.HeaderField(fieldText(field.Name, maxFieldName), fieldText(field.Value, maxShown), nil); err != nil || act.Type != milter.ActionContinue {
			return act, err
		}
	}
	f.conn.allow(0)
	act, err := f.session.HeaderEnd()
	if err == nil && act.Type == milter.ActionContinue {
		act = nil
	}
	return act, err
}

// maxShown bounds a field's value. Milters hang up on packets over 64 KiB, and
// a stranger must not be able to make them.
const maxShown = 60 << 10

// fieldText is a name or value as milters expect it: without the space behind
// the colon, lines end with LF, and no NUL, which would end it.
func fieldText(b []byte, most int) string {
	s := strings.TrimPrefix(string(b[:min(len(b), most)]), " ")
	s = strings.ReplaceAll(strings.TrimRight(s, "\r\n"), "\r\n", "\n")
	return strings.ReplaceAll(s, "\x00", "?")
}

// body sends the body in pieces, as far as the milter wants it.
func (f *filter) body(body io.Reader) (*milter.Action, error) {
	wanted := !f.session.ProtocolOption(milter.OptNoBody)
	buf := make([]byte, milter.DataSize64K)
	for wanted && !f.session.Skip() {
		n, err := io.ReadFull(body, buf)
		if n > 0 {
			f.conn.allow(0)
			if act, err := f.session.BodyChunk(buf[:n]); err != nil || act.Type != milter.ActionContinue {
				return act, err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, &readError{err}
		}
	}
	empty := func() error {
		_, err := f.session.BodyChunk(nil)
		return err
	}
	return nil, f.conn.pretend(empty, wanted && !f.session.Skip() && !f.session.ProtocolOption(milter.OptNoBodyReply))
}

// end asks for the verdict.
func (f *filter) end(ctx context.Context) Answer {
	f.conn.allow(f.o.MaxBody + f.o.MaxBody/64)
	acts, act, err := f.session.End()
	if err != nil {
		return f.fail(f.why(ctx, err))
	}
	a := f.judge(act)
	f.mailed = false
	if a.Action != MilterPass || f.err != nil {
		return a
	}
	c, err := readChanges(acts, f.session.ActionOption, f.o.MaxBody)
	if err != nil {
		return f.fail(err)
	}
	a.Edits = c.edits
	if c.held {
		a.Action, a.Filter, a.Reason = MilterQuarantine, f.o.Name, "milter "+f.o.Name+": quarantine: "+c.quarantine
	}
	return a
}

// abort ends a message that was begun.
func (f *filter) abort(ctx context.Context) {
	ctx, cancel := within(ctx, f.o.CommandTimeout)
	defer cancel()
	defer f.conn.begin(ctx)()
	err := f.session.Abort(nil)
	if err == nil {
		err = f.conn.flush()
	}
	if err != nil {
		_ = f.fail(f.why(ctx, err)) // tells at the next command
	}
}

// why tells a milter that is down from one that talks nonsense, whose words
// are made fit for a log.
func (f *filter) why(ctx context.Context, err error) error {
	var network net.Error
	var number syscall.Errno
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil, errors.As(err, &network), errors.As(err, &number), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, io.ErrClosedPipe), errors.Is(err, net.ErrClosed):
		return down(ctx, err)
	}
	return fmt.Errorf("%w: %s", ErrAnswer, word(err.Error()))
}

// fail gives the milter up for the session.
func (f *filter) fail(err error) Answer {
	f.err = err
	f.close()
	return f.fallback()
}

// fallback is the answer in place of a milter that was given up.
func (f *filter) fallback() Answer {
	if f.err == nil || f.o.Default == FallbackAccept {
		return Answer{}
	}
	a := Answer{Action: MilterTempFail, Reply: unavailable(), Filter: f.o.Name}
	if f.o.Default == FallbackReject {
		a.Action, a.Reply = MilterReject, rejected()
	}
	a.Reply = a.Reply.Because(f.err)
	a.Reason = fmt.Sprintf("milter %s: %v; its default action is %s", f.o.Name, f.err, f.o.Default)
	return a
}

// close ends the connection, politely if there is a session on it.
func (f *filter) close() {
	if f.session != nil {
		_ = f.session.Close() // it was the last word
	}
	if f.conn != nil {
		_ = f.conn.Close() // likewise
	}
	f.conn, f.session = nil, nil
}
