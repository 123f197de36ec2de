package smtpd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"posthorn/internal/flow/accept"
	"posthorn/internal/policy"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
	"posthorn/internal/wire/smtp"
)

// edit makes the changes that checks ask for. Few messages need any: the content
// is then written anew, for what the store has taken in does not change.
func (tx *transaction) edit(ctx context.Context, s *mime.Structure, effects *policy.Effects) (*mime.Structure, error) {
	edits := effects.Edits
	for _, e := range edits {
		if e.Sender != nil {
			tx.env.Sender = *e.Sender
		}
		tx.env.Recipients = slices.DeleteFunc(tx.env.Recipients, func(r accept.Recipient) bool { return slices.Contains(e.Delete, r.Address) })
		for _, a := range e.Add {
			to, err := tx.s.c.server.Directory.Resolve(ctx, a)
			if err != nil {
				return nil, err
			}
			copies := destination(&smtp.Rcpt{Recipient: a, Notify: smtp.NotifyNever}, &to)
			if len(copies.Accounts)+len(copies.Remote)+len(copies.Copies) == 0 {
				return nil, fmt.Errorf("a milter adds the recipient %s: %w", a, errNowhere)
			}
			tx.env.Recipients = append(tx.env.Recipients, copies)
		}
	}
	if account, _ := tx.env.AtOnce(); account != tx.s.facts.AtOnce {
		effects.Copy = policy.Copy{} // it was the opinion of another account's filter
	}
	if !slices.ContainsFunc(edits, func(e *policy.Edits) bool { return e.Header != nil || e.NewBody }) {
		return s, nil
	}
	return tx.body.rewrite(ctx, s, edits)
}

// rewrite puts a changed message in place of the draft. The structure belongs to
// what was there before.
func (b *content) rewrite(ctx context.Context, s *mime.Structure, edits []*policy.Edits) (*mime.Structure, error) {
	start := s.Parts[0].Body.Start
	if start > policy.MaxHeader {
		return nil, fmt.Errorf("smtpd: a header section of %d octets cannot be changed", start)
	}
	old, err := b.draft.Open()
	if err != nil {
		return nil, err
	}
	defer old.Close() // it is only read
	header := make([]byte, start)
	if _, err := io.ReadFull(io.NewSectionReader(old, 0, start), header); err != nil {
		return nil, err
	}
	var body io.Reader = io.NewSectionReader(old, start, b.draft.Size()-start)
	size := b.draft.Size()
	for _, e := range edits {
		if e.Header != nil {
			header = e.Header(header)
		}
		if e.NewBody {
			if len(e.Body) > 0 && !bytes.HasSuffix(header, []byte("\r\n\r\n")) && string(header) != "\r\n" {
				header = append(header[:len(header):len(header)], '\r', '\n') // there was no body before
			}
			body, size = bytes.NewReader(e.Body), int64(len(e.Body))
		}
	}
	draft, err := b.server.Store.NewDraft(ctx, int64(len(header))+size)
	if err != nil {
		return nil, err
	}
	b.parser.Reset()
	if err := b.refill(draft, header, body); err != nil {
		draft.Discard()
		return nil, err
	}
	b.draft.Discard()
	b.draft = draft
	return b.parser.Close(), nil
}

// refill writes a message through the parser into a draft.
func (b *content) refill(draft store.Draft, header []byte, body io.Reader) error {
	to := io.MultiWriter(draft, b.parser)
	if _, err := to.Write(header); err != nil {
		return err
	}
	_, err := io.Copy(to, body)
	return err
}
