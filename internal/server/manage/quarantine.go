package manage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/record"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// QuarantineItem is a message that was accepted and is held back from everybody.
type QuarantineItem struct {
	ID         string    `json:"id"`
	Reason     string    `json:"reason" doc:"Why it is held back"`
	Sender     string    `json:"sender" doc:"Reverse-path; empty for a notification"`
	Recipients []string  `json:"recipients" doc:"Who gets it when it is released"`
	From       string    `json:"from" doc:"Author, as the message says"`
	Subject    string    `json:"subject"`
	Client     string    `json:"client" doc:"Address it came from"`
	Account    int64     `json:"account" doc:"Account that submitted it; 0 for none"`
	Size       Octets    `json:"size"`
	Accepted   time.Time `json:"accepted"`
	Removed    time.Time `json:"removed" doc:"When it is removed for good unless it is released; nobody is told"`
}

// QuarantineView is one message with its header.
type QuarantineView struct {
	QuarantineItem
	Header []QuarantineField `json:"header" doc:"Its header fields, as far as they fit"`
	Parts  []QuarantinePart  `json:"parts" doc:"What it consists of"`
	Cut    bool              `json:"cut" doc:"There is more than is shown"`
}

// QuarantineField is one header field, decoded for reading.
type QuarantineField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// QuarantinePart is one part of a message.
type QuarantinePart struct {
	Type string `json:"type" example:"application/pdf"`
	Name string `json:"name,omitempty" doc:"Name of the file"`
	Size Octets `json:"size" doc:"As it was sent, encoded"`
}

// The inputs of the operations on quarantine.
type (
	QuarantineListInput struct {
		Sender    string `json:"sender" query:"sender" doc:"Address or domain"`
		Recipient string `json:"recipient" query:"recipient" doc:"Address or domain"`
		Paging
	}
	QuarantineShowInput struct {
		ID string `json:"id" path:"id"`
	}
	QuarantineInput struct {
		ID     string `json:"id" path:"id"`
		Author string `json:"author" query:"author" doc:"Who wants it, for the trace"`
	}
)

func quarantineOperations() []Operation {
	const one = "/quarantine/{id}"
	return []Operation{
		declare("quarantine-list", get, "/quarantine", operator, "List the messages in quarantine", (*Service).quarantine),
		declare("quarantine-show", get, one, operator, "Show a message in quarantine, with its header", (*Service).quarantineItem),
		declare("quarantine-release", post, one+"/release", operator, "Deliver a message to all its recipients", (*Service).releaseQuarantine),
		declare("quarantine-remove", remove, one, operator, "Remove a message; nobody is told", (*Service).removeQuarantine),
	}
}

// quarantined selects what is in quarantine.
func quarantined() store.QueueFilter {
	state := store.Quarantined
	return store.QueueFilter{State: &state}
}

func (s *Service) quarantine(ctx context.Context, in *QuarantineListInput) (Page[QuarantineItem], error) {
	p := Page[QuarantineItem]{Items: []QuarantineItem{}}
	f := quarantined()
	f.Sender, f.Recipient, f.Limit = in.Sender, in.Recipient, in.limit()
	if in.After != "" {
		var err error
		if f.After, err = queueID(in.After); err != nil {
			return p, inField("after", errors.New(notIdentifier(in.After)))
		}
	}
	entries, err := s.o.Store.Queue().List(ctx, f)
	for i := range entries {
		p.Items = append(p.Items, s.quarantineView(&entries[i]))
	}
	if len(entries) == f.Limit {
		p.Next = p.Items[len(p.Items)-1].ID
	}
	return p, err
}

func (s *Service) quarantineView(e *store.QueueEntry) QuarantineItem {
	v := QuarantineItem{ID: e.ID.String(), Reason: e.Quarantine, Sender: e.Sender.String(), Recipients: []string{}, Client: e.Client, Account: int64(e.Account),
		Size: Octets(e.Size), Accepted: e.Accepted, Removed: e.Accepted.Add(s.quarantineKeep())}
	for _, r := range e.Recipients {
		v.Recipients = append(v.Recipients, r.Address.String())
	}
	var m mime.Structure
	if m.UnmarshalBinary(e.Meta) == nil {
		env := m.Envelope()
		v.Subject = mime.DecodeWords(env.Subject)
		for i := range env.From {
			v.From = env.From[i].Spec()
			break
		}
	}
	return v
}

func (s *Service) quarantineKeep() time.Duration {
	if s.o.Quarantine == nil {
		return 0
	}
	return s.o.Quarantine().Keep
}

// Bounds of what is shown of a message.
const (
	shownHeader = 32 << 10
	shownFields = 100
	shownValue  = 1000
	shownParts  = 50
)

func (s *Service) quarantineItem(ctx context.Context, in *QuarantineShowInput) (QuarantineView, error) {
	e, err := s.inQuarantine(ctx, in.ID)
	if err != nil {
		return QuarantineView{}, err
	}
	v := QuarantineView{QuarantineItem: s.quarantineView(&e), Header: []QuarantineField{}, Parts: []QuarantinePart{}}
	var m mime.Structure
	if err := m.UnmarshalBinary(e.Meta); err != nil {
		return v, fmt.Errorf("structure of message %s: %w", e.ID, err)
	}
	body, err := s.o.Store.Queue().OpenBody(ctx, e.ID)
	if err != nil {
		return v, notInQuarantine(e.ID, err)
	}
	defer func() { _ = body.Close() }() // read only
	header := make([]byte, min(m.Parts[0].Header.Len(), shownHeader))
	if _, err := body.ReadAt(header, 0); err != nil && !errors.Is(err, io.EOF) {
		return v, err
	}
	v.Cut = m.Parts[0].Header.Len() > shownHeader
	v.fields(header)
	v.parts(&m)
	return v, nil
}

func (v *QuarantineView) fields(header []byte) {
	for f := range mime.Fields(header) {
		if len(v.Header) == shownFields {
			v.Cut = true
			return
		}
		value := bytes.TrimSpace(mime.Unfold(f.Value))
		v.Cut = v.Cut || len(value) > shownValue
		v.Header = append(v.Header, QuarantineField{Name: string(bytes.ToValidUTF8(f.Name, []byte("?"))),
			Value: mime.DecodeWords(string(bytes.ToValidUTF8(value[:min(len(value), shownValue)], []byte("?"))))})
	}
}

func (v *QuarantineView) parts(m *mime.Structure) {
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.Type == "multipart" {
			continue
		}
		if len(v.Parts) == shownParts {
			v.Cut = true
			return
		}
		v.Parts = append(v.Parts, QuarantinePart{Type: p.Type + "/" + p.Subtype, Name: p.Filename(), Size: Octets(p.Body.Len())})
	}
}

// inQuarantine returns a message that is.
func (s *Service) inQuarantine(ctx context.Context, text string) (store.QueueEntry, error) {
	id, err := queueID(text)
	if err != nil {
		return store.QueueEntry{}, err
	}
	f := quarantined()
	f.ID = id
	list, err := s.o.Store.Queue().List(ctx, f)
	switch {
	case err != nil:
		return store.QueueEntry{}, err
	case len(list) == 0:
		return store.QueueEntry{}, notInQuarantine(id, store.ErrNotFound)
	}
	return list[0], nil
}

// notInQuarantine explains that a message is not there (any more).
func notInQuarantine(id ident.ID, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return said{fmt.Sprintf("message %s is not in quarantine; what became of it: posthorn trace %s", id, id), err}
	}
	return err
}

func (s *Service) releaseQuarantine(ctx context.Context, in *QuarantineInput) (Count, error) {
	return s.endQuarantine(ctx, in, store.Queue.Release, record.Released)
}

func (s *Service) removeQuarantine(ctx context.Context, in *QuarantineInput) (Count, error) {
	return s.endQuarantine(ctx, in, store.Queue.Remove, record.Removed)
}

func (s *Service) endQuarantine(ctx context.Context, in *QuarantineInput, do func(store.Queue, context.Context, store.QueueFilter) (int, error), kind record.EventKind) (Count, error) {
	id, err := queueID(in.ID)
	if err != nil {
		return Count{}, err
	}
	f := quarantined()
	f.ID = id
	n, err := do(s.o.Store.Queue(), ctx, f)
	if err != nil {
		return Count{}, notInQuarantine(id, err)
	}
	s.o.Records.Event(record.Event{ID: id, Kind: kind, By: author(ctx, in.Author), Reply: "from quarantine"})
	return Count{n}, nil
}
