package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// content is what goes out after DATA: the body as the store opens it, which
// begins with the queued head. It is read anew for each transaction.
type content struct {
	body store.Body
	mime mime.Structure
	// seven is its 7-bit form once a host needed it.
	seven *sevenBit
	// failed is why the store could not be read; it is no fault of the host.
	failed error
}

// openContent opens the body and knows what is in it.
func openContent(ctx context.Context, c *store.Claim) (*content, error) {
	body, err := c.BodyOpener(ctx)
	if err != nil {
		return nil, err
	}
	out := &content{body: body}
	if out.mime.UnmarshalBinary(c.Message.Meta) == nil && out.mime.Size == out.size() {
		return out, nil
	}
	p := mime.NewParser()
	if _, err := io.Copy(p, out.whole()); err != nil {
		_ = body.Close() // read only
		return nil, fmt.Errorf("read the message: %w", err)
	}
	out.mime = *p.Close()
	return out, nil
}

func (c *content) size() int64 { return c.body.Size() }

func (c *content) whole() io.Reader {
	return io.NewSectionReader(c.body, 0, c.body.Size())
}

// watched remembers read errors, so that they are not taken for the host's.
type watched struct {
	io.Reader
	c *content
}

func (w watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		w.c.failed = err
	}
	return n, err
}

// reader reads the content once, in its 7-bit form if s is not nil.
func (c *content) reader(s *sevenBit) io.Reader {
	if s != nil {
		return watched{s.reader(c), c}
	}
	return watched{c.whole(), c}
}

// binary reports content that only BDAT can carry unharmed (RFC 3030 §3).
func (c *content) binary() bool {
	f := c.mime.Facts
	f.Flags &^= mime.Has8Bit
	return !plain(f)
}

func (c *content) eightBit() bool { return c.mime.Flags.Has(mime.Has8Bit) }

// headers8Bit reports octets above 127 in the header section of the message or
// of one of its parts, which is what SMTPUTF8 is for (RFC 6531 §3.2).
func (c *content) headers8Bit() (bool, error) {
	if c.mime.Flags.Has(mime.Header8Bit) || !c.eightBit() {
		return c.eightBit(), nil
	}
	for i := range c.mime.Parts {
		h := c.mime.Parts[i].Header
		eight := &eightBitFinder{}
		if _, err := io.Copy(eight, io.NewSectionReader(c, h.Start, h.End-h.Start)); err != nil {
			return false, fmt.Errorf("read the message: %w", err)
		}
		if eight.found {
			return true, nil
		}
	}
	return false, nil
}

// ReadAt implements io.ReaderAt.
func (c *content) ReadAt(b []byte, at int64) (int, error) { return c.body.ReadAt(b, at) }

// eightBitFinder looks for octets above 127.
type eightBitFinder struct{ found bool }

func (f *eightBitFinder) Write(b []byte) (int, error) {
	f.found = f.found || bytes.ContainsFunc(b, func(r rune) bool { return r >= 0x80 })
	return len(b), nil
}

func (c *content) close() { _ = c.body.Close() } // read only
