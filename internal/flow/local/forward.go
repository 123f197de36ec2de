package local

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/flow/accept"
	"posthorn/internal/flow/queue"
	"posthorn/internal/policy"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// People knows who gets mail for an address; a directory.Directory does.
type People interface {
	Resolve(ctx context.Context, addr mail.Address) (directory.Resolution, error)
	Hosts(ctx context.Context, domain string) (bool, error)
}

// Drafts makes room for a message; a store.Store does.
type Drafts interface {
	NewDraft(ctx context.Context, size int64) (store.Draft, error)
}

// Door accepts messages; an accept.Door is one.
type Door interface {
	Accept(ctx context.Context, e *accept.Envelope, c *accept.Content) error
}

// Forwarder takes addresses of ours apart that send their mail on: aliases,
// forwarding accounts, the external postmaster, our reverse-paths. What leaves
// is a message of its own, with a Delivered-To field against loops and, unless
// the sender is ours or null, a reverse-path of ours. It has the same key
// each time it is made, so that a repeated attempt sends nothing twice.
//
// It implements queue.Deliverer for route.Ours. Copies for mailboxes here were
// filed or queued when the message was accepted.
type Forwarder struct {
	People  People
	Drafts  Drafts
	Door    Door
	Returns *Returns
	// Hostname is whose reverse-paths stand for addresses without a hosted domain.
	Hostname func() string
}

// Deliver implements queue.Deliverer.
func (f *Forwarder) Deliver(ctx context.Context, j queue.Job) ([]queue.Result, error) {
	var results []queue.Result
	for _, r := range j.Claim.Message.Recipients {
		if ctx.Err() != nil {
			break
		}
		res, err := store.OverOutage(ctx, func() (queue.Result, error) { return f.forward(ctx, &j.Claim, r) })
		if err != nil {
			res = queue.Result{Fate: queue.Deferred, Reply: accept.ReplyTo(err)}
		}
		res.Recipient, res.Aware = r.ID, true
		results = append(results, res)
	}
	return results, nil
}

func (f *Forwarder) forward(ctx context.Context, c *store.Claim, r store.QueueRecipient) (queue.Result, error) {
	to, err := f.People.Resolve(ctx, r.Address)
	if err != nil {
		return queue.Result{}, err
	}
	next := accept.Recipient{Address: r.Address, Original: r.Original, Notify: r.Notify, Remote: to.Forwards, Copies: to.Copies, Onward: true}
	switch to.Kind {
	case directory.Local:
	case directory.Unknown:
		return failed(reply.Newf(550, reply.E(5, 1, 1), "%s was removed after the message was accepted", r.Address)), nil
	default:
		return deferred(reply.Newf(450, reply.E(4, 2, 1), "%s is %s", r.Address, to.Kind)), nil
	}
	structure, err := structureOf(ctx, c)
	if err != nil {
		return queue.Result{}, err
	}
	switch {
	case len(to.Forwards)+len(to.Copies) == 0 && to.System:
		return delivered("no copies are wanted any more"), nil
	case len(to.Forwards)+len(to.Copies) == 0:
		// It does not send mail on any more. A second copy is better than none.
		next.Accounts = accounts(to.Deliveries)
	case !beenHere(structure, r.Address):
	case len(to.Away) > 0:
		next.Accounts, next.Remote, next.Copies = accounts(to.Away), nil, nil
	case len(to.Forwards) == 0 || len(to.Deliveries) > 0: // there is a copy here
		return delivered("not sent on: the message was here before"), nil
	default:
		return failed(reply.Newf(554, reply.E(5, 4, 6), "Mail loop detected: the message was delivered to %s before", r.Address)), nil
	}
	return f.accept(ctx, c, r, next, structure)
}

// accept makes the forwarded message.
func (f *Forwarder) accept(ctx context.Context, c *store.Claim, r store.QueueRecipient, to accept.Recipient, s *mime.Structure) (queue.Result, error) {
	m := &c.Message
	sender, err := f.sender(ctx, m.Sender, r.Address.Domain)
	if err != nil {
		return queue.Result{}, err
	}
	draft, err := f.copied(ctx, c)
	if err != nil {
		return queue.Result{}, err
	}
	defer draft.Discard()
	e := &accept.Envelope{Key: derived(m.ID, r.ID), Time: time.Now(), Sender: sender, Client: m.Client, Return: m.Return, EnvelopeID: m.EnvelopeID,
		SMTPUTF8: m.SMTPUTF8, EightBit: m.EightBit, Binary: m.Binary, RequireTLS: m.RequireTLS, Queued: true, Recipients: []accept.Recipient{to}}
	content := &accept.Content{Body: draft, Structure: s, Effects: policy.Effects{Junk: m.Junk, Sift: m.Sift}}
	if len(to.Accounts) == 0 { // filing writes the field itself
		content.Trace = []byte("Delivered-To: " + r.Address.String() + "\r\n")
		s.DeliveredTo = append(s.DeliveredTo, r.Address.String())
	}
	if err := f.Door.Accept(ctx, e, content); err != nil {
		return queue.Result{}, err
	}
	if len(to.Remote)+len(to.Copies) == 0 {
		res := delivered("not sent on but kept here, as " + e.Key.String())
		res.As = e.Key
		return res, nil
	}
	res := delivered("forwarded as " + e.Key.String())
	res.As, res.Onward = e.Key, slices.Concat(to.Remote, to.Copies)
	return res, nil
}

// sender is the reverse-path of the forwarded message.
func (f *Forwarder) sender(ctx context.Context, sender mail.Address, domain string) (mail.Address, error) {
	if sender.IsNull() || sender.Domain == "" {
		return sender, nil
	}
	if ours, err := f.People.Hosts(ctx, sender.Domain); err != nil || ours {
		return sender, err
	}
	hosted, err := f.People.Hosts(ctx, domain)
	if err != nil {
		return sender, err
	}
	if !hosted {
		domain = f.Hostname()
	}
	return f.Returns.Write(sender, domain)
}

// copied is the whole message in a draft of its own.
func (f *Forwarder) copied(ctx context.Context, c *store.Claim) (store.Draft, error) {
	body, err := c.BodyOpener(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // read only
	draft, err := f.Drafts.NewDraft(ctx, body.Size())
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(draft, io.NewSectionReader(body, 0, body.Size())); err != nil {
		draft.Discard()
		return nil, fmt.Errorf("local: copy of message %s: %w", c.Message.ID, err)
	}
	return draft, nil
}

// structureOf is that of the whole message, as it was stored or read anew.
func structureOf(ctx context.Context, c *store.Claim) (*mime.Structure, error) {
	s := new(mime.Structure)
	if s.UnmarshalBinary(c.Message.Meta) == nil && s.Size == c.Message.Size {
		return s, nil
	}
	body, err := c.BodyOpener(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // read only
	p := mime.NewParser()
	if _, err := io.Copy(p, io.NewSectionReader(body, 0, body.Size())); err != nil {
		return nil, fmt.Errorf("local: read message %s: %w", c.Message.ID, err)
	}
	return p.Close(), nil
}

// beenHere reports that the address has forwarded or got the message before.
func beenHere(s *mime.Structure, addr mail.Address) bool {
	key := addr.Key()
	return slices.ContainsFunc(s.DeliveredTo, func(text string) bool {
		was, err := mail.ParseAddress(text)
		return err == nil && was.Key() == key || err != nil && strings.EqualFold(text, key)
	})
}

// derived is the accept key of what a queued recipient forwards: always the
// same. It begins with the octets of the message it comes from, by which the
// store knows that the key is needed as long as that message is queued.
func derived(message ident.ID, recipient int64) ident.ID {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(append([]byte("forwarded\x00"), message[:]...), uint64(recipient)))
	id := message
	copy(id[8:], sum[:])
	id[8] = id[8]&0x3f | 0x80 // the variant of RFC 9562 §4.1
	return id
}

func accounts(all []directory.Delivery) (ids []store.AccountID) {
	for i := range all {
		ids = append(ids, all[i].Account)
	}
	return ids
}

func delivered(words string) queue.Result {
	return queue.Result{Fate: queue.Delivered, Reply: reply.New(250, reply.E(2, 1, 5), words)}
}

func deferred(r reply.Reply) queue.Result {
	return queue.Result{Fate: queue.Deferred, Reply: r.Because(errors.New(r.String()))}
}

func failed(r reply.Reply) queue.Result { return queue.Result{Fate: queue.Failed, Reply: r} }
