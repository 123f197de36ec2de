// Package bounce tells senders what became of their messages. It implements
// queue.Notices: the queue hands it the fates of an attempt, and commits the
// notification it gets back together with them, so that each is told once.
//
//	queue ─► Notice ─► who is told what (RFC 3461) ─► wire/dsn writes it ─► accept plans it ─► queue
//
// A notice goes through the queue even to a mailbox here, because a full one
// must not undo what it is told about. Nobody is told about a notice. The
// package decides no fate and never bounces a refusal of ours, which is a
// reply in the session (ORD-03).
package bounce

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/limit"
	"posthorn/internal/base/mail"
	"posthorn/internal/flow/accept"
	"posthorn/internal/flow/queue"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/dsn"
	"posthorn/internal/wire/mime"
)

// Recipients finds out where a sender gets mail; a directory.Directory does.
type Recipients interface {
	Resolve(ctx context.Context, addr mail.Address) (directory.Resolution, error)
}

// Drafts makes room for a notice; a store.Store does.
type Drafts interface {
	NewDraft(ctx context.Context, size int64) (store.Draft, error)
}

// Planner plans an acceptance; an accept.Door does.
type Planner interface {
	Plan(e *accept.Envelope, c *accept.Content) (*store.Acceptance, error)
}

// Options of a Bouncer.
type Options struct {
	Settings   func() *Settings
	Recipients Recipients
	Drafts     Drafts
	Planner    Planner
	Idents     *ident.Source
	// Host is the name of this server (M-GEN-07).
	Host func() string
	// Zone is the one times are shown in; nil means the machine's.
	Zone func() *time.Location
	Log  *event.Logger
}

// Bouncer writes notices. It may be used by many goroutines at once. Use New.
type Bouncer struct {
	o    Options
	sent *limit.Rates[string]
}

// counted is how many senders the bound per hour remembers.
const counted = 10_000

// New returns a Bouncer.
func New(o Options) *Bouncer {
	if o.Zone == nil {
		o.Zone = func() *time.Location { return time.Local }
	}
	return &Bouncer{o: o, sent: limit.NewRates[string](counted, 2*time.Hour)}
}

// Notice implements queue.Notices. Errors are those of the store and the
// directory; asking again may help. That a sender cannot or must not be told
// is no error but nil, and an event with the reason.
func (b *Bouncer) Notice(ctx context.Context, n queue.Notice) (a *store.Acceptance, err error) {
	due := wanted(n.Reports)
	if len(due) == 0 {
		return nil, nil
	}
	defer func() {
		// A message that makes it panic must not end the process, which would
		// find it again at the next start.
		if p := recover(); p != nil {
			b.o.Log.Message(n.Message.ID).Log(event.ServerPanic, slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
			a, err = nil, fmt.Errorf("bounce: %s: internal error", n.Message.ID)
		}
	}()
	a, reason, err := b.try(ctx, &n, due)
	switch {
	case err != nil:
		return nil, fmt.Errorf("bounce: %s: %w", n.Message.ID, err)
	case reason != "":
		b.o.Log.Message(n.Message.ID).Log(event.BounceSuppressed, slog.String("to", n.Message.Sender.String()), slog.Int("recipients", len(due)), slog.String("reason", reason))
		return nil, nil
	}
	return a, nil // which is not queued yet: whoever stores it tells
}

// try returns the notice, or the reason why nobody is told. A notice counts
// once it is made: the queue asks again after an error, and the store's
// troubles must not use up what a sender may be told.
func (b *Bouncer) try(ctx context.Context, n *queue.Notice, due []queue.Report) (*store.Acceptance, string, error) {
	to, reason, err := b.addressee(ctx, &n.Message)
	if err != nil || reason != "" {
		return nil, reason, err
	}
	s := b.o.Settings()
	a, err := b.make(ctx, n, due, to, s)
	if err != nil {
		return nil, "", err
	}
	if !b.mayTell(&n.Message, due, to, s) {
		a.Body.Discard()
		return nil, "too many notices to this sender within an hour", nil
	}
	return a, "", nil
}

// make writes the notice and plans it.
func (b *Bouncer) make(ctx context.Context, n *queue.Notice, due []queue.Report, to accept.Recipient, s *Settings) (*store.Acceptance, error) {
	key := b.o.Idents.New()
	notice := b.notice(&n.Message, due, key, s)
	content, err := b.original(ctx, n, full(&n.Message, due, to, s), notice)
	if err != nil {
		return nil, err
	}
	defer content.close()
	w, err := b.write(ctx, notice)
	if err != nil && content.err != nil && ctx.Err() == nil {
		b.lost(&n.Message, content.err)
		notice.Original.Content = nil
		w, err = b.write(ctx, notice)
	}
	if err != nil {
		return nil, err
	}
	a, err := b.o.Planner.Plan(&accept.Envelope{Key: key, Time: notice.Date, SMTPUTF8: notice.UTF8, EightBit: w.eightBit,
		RequireTLS: n.Message.RequireTLS, Queued: true, Recipients: []accept.Recipient{to}},
		&accept.Content{Body: w.draft, Structure: w.structure})
	if err != nil {
		w.draft.Discard()
	}
	return a, err
}

// written is a notice in its draft.
type written struct {
	draft     store.Draft
	structure *mime.Structure
	eightBit  bool
}

func (b *Bouncer) write(ctx context.Context, notice *dsn.Notice) (written, error) {
	draft, err := b.o.Drafts.NewDraft(ctx, 0)
	if err != nil {
		return written{}, err
	}
	parser := mime.NewParser()
	eightBit, err := dsn.Write(io.MultiWriter(draft, parser), notice)
	if err != nil {
		draft.Discard()
		return written{}, err
	}
	return written{draft: draft, structure: parser.Close(), eightBit: eightBit}, nil
}

// actions are those of the queue in the words of the notice.
var actions = [...]dsn.Action{queue.ActionFailed: dsn.Failed, queue.ActionDelayed: dsn.Delayed, queue.ActionDelivered: dsn.Delivered, queue.ActionRelayed: dsn.Relayed}

// notice is all of it but the original. The internationalised forms go to
// those who have shown that they can handle them, by their own address or by
// sending the message with SMTPUTF8 (RFC 6533 §3).
func (b *Bouncer) notice(m *store.QueueMessage, due []queue.Report, key ident.ID, s *Settings) *dsn.Notice {
	out := &dsn.Notice{Host: b.o.Host(), ID: key.String(), Boundary: rand.Text(), To: m.Sender, Date: time.Now().In(b.o.Zone()),
		UTF8: m.SMTPUTF8 || !m.Sender.IsASCII(), Languages: s.Languages, EnvelopeID: m.EnvelopeID, Queue: m.ID.String(), Arrived: m.Accepted}
	for _, r := range due {
		row := dsn.Recipient{Original: r.Recipient.Original, Address: r.Recipient.Address, Action: actions[r.Action], Expired: r.Expired, Host: r.Host, Reply: r.Reply, Ours: r.Ours, Last: r.At}
		if r.Action == queue.ActionDelayed {
			row.Until = m.Expires
		}
		out.Recipients = append(out.Recipients, row)
	}
	return out
}

// content is the message a notice is about. It remembers its error, because a
// notice is worth more than what it returns: it is then made without.
type content struct {
	body store.Body // nil for nothing
	err  error
}

// ReadAt implements io.ReaderAt.
func (c *content) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.body.ReadAt(p, at)
	if err != nil && n < len(p) {
		c.err = err
	}
	return n, err
}

func (c *content) close() {
	if c.body != nil {
		_ = c.body.Close() // only read
	}
}

func (b *Bouncer) lost(m *store.QueueMessage, err error) {
	b.o.Log.Message(m.ID).Log(event.QueueError, slog.String("returned", "nothing"), event.Err(err))
}

// original fills in what the notice says and returns of the message. The
// caller closes the content.
func (b *Bouncer) original(ctx context.Context, n *queue.Notice, full bool, out *dsn.Notice) (*content, error) {
	meta := structure(&n.Message)
	if meta == nil {
		return &content{}, nil
	}
	e := meta.Envelope()
	out.Original = dsn.Original{MessageID: strings.Join(mime.Identifiers(e.MessageID), " "), References: meta.References, Subject: mime.DecodeWords(e.Subject)}
	body, err := n.Body(ctx)
	switch {
	case err != nil && (ctx.Err() != nil || errors.Is(err, store.ErrUnavailable)):
		return nil, err
	case err != nil:
		b.lost(&n.Message, err)
		return &content{}, nil
	}
	c := &content{body: body}
	out.Original.Content, out.Original.Size, out.Original.Header = c, body.Size(), meta.Parts[0].Header.End
	out.Original.Full = full
	return c, nil
}

// full decides whether the whole message is returned: only about a failure
// (RFC 3461 §4.3), never of one that must not leave TLS (RFC 8689 §5), and to
// a sender elsewhere only if one of our users wrote it. A forged sender is not
// to be sent what a stranger wrote, and the stranger who forges would write
// RET=FULL too. Deviates from RFC 3461 §4.3 there.
func full(m *store.QueueMessage, due []queue.Report, to accept.Recipient, s *Settings) bool {
	asked := m.Account != 0 && m.Return != "HDRS" || m.Return == "FULL" && len(to.Accounts) > 0
	return asked && failed(due) && !m.RequireTLS && m.Size <= int64(s.ReturnSize)
}

func failed(due []queue.Report) bool {
	return slices.ContainsFunc(due, func(r queue.Report) bool { return r.Action == queue.ActionFailed })
}
