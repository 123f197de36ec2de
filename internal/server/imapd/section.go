package imapd

import (
	"bytes"
	"io"

	"posthorn/internal/base/event"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
	"posthorn/internal/wire/mime"
)

// needsStructure holds for sections that are not the message as a whole.
func needsStructure(s imap.Section) bool { return len(s.Path) > 0 || s.Part != imap.PartAll }

// needsBody holds for all sections: even a size of BINARY.SIZE is found by
// decoding.
func needsBody(imap.Section) bool { return true }

func closeBody(c *conn, body store.Body) {
	if err := body.Close(); err != nil {
		c.log.Log(event.StoreFailed, event.Err(err))
	}
}

// kinds maps the parts of a section to what the structure calls them.
var kinds = [...]mime.SectionKind{
	imap.PartAll:             mime.SectionPart,
	imap.PartHeader:          mime.SectionHeader,
	imap.PartHeaderFields:    mime.SectionHeader,
	imap.PartHeaderFieldsNot: mime.SectionHeader,
	imap.PartText:            mime.SectionText,
	imap.PartMIME:            mime.SectionMIME,
}

// section writes one body section; one that does not exist is NIL.
func (f *fetcher) section(s *imap.Section, e *store.Entry, body store.Body) error {
	enc := f.c.enc
	span, ok := f.span(s, body)
	enc.Appended(s.AppendResponse)
	switch {
	case s.Form == imap.FormBinary || s.Form == imap.FormBinarySize:
		return f.binary(s, span, ok, body)
	case !ok:
		enc.Nil()
		return nil
	case s.Part == imap.PartHeaderFields || s.Part == imap.PartHeaderFieldsNot:
		return f.fields(s, span, body)
	}
	return f.literal(s, io.NewSectionReader(body, span.Start, span.Len()), span.Len())
}

// span finds the octets of a section.
func (f *fetcher) span(s *imap.Section, body store.Body) (mime.Span, bool) {
	if !needsStructure(*s) {
		return mime.Span{Start: 0, End: body.Size()}, true
	}
	path := make([]int, len(s.Path))
	for i, n := range s.Path {
		path[i] = int(min(n, 1<<30))
	}
	span, ok := f.structure.Section(path, kinds[s.Part])
	span.End = min(span.End, body.Size())
	span.Start = min(span.Start, span.End)
	return span, ok
}

// literal streams octets, or the part of them that is asked for.
func (f *fetcher) literal(s *imap.Section, r io.ReadSeeker, size int64) error {
	if s.Partial {
		start := min(int64(s.Offset), size)
		size = min(int64(s.Length), size-start)
		if _, err := r.Seek(start, io.SeekStart); err != nil {
			return err
		}
	}
	return f.c.enc.Literal(size, r)
}

// fields writes the header fields that are asked for.
func (f *fetcher) fields(s *imap.Section, span mime.Span, body store.Body) error {
	header, err := f.read(span, body)
	if err != nil {
		return err
	}
	chosen := mime.FilterHeader(header, s.Fields, s.Part == imap.PartHeaderFieldsNot)
	return f.literal(s, bytes.NewReader(chosen), int64(len(chosen)))
}

// read reads a header section into memory, no more than is interpreted of one.
func (f *fetcher) read(span mime.Span, body store.Body) ([]byte, error) {
	n := int(min(span.Len(), mime.MaxHeaderSize))
	if cap(f.scratch) < n {
		f.scratch = make([]byte, n)
	}
	b := f.scratch[:n]
	if m, err := body.ReadAt(b, span.Start); m < n {
		return nil, err
	}
	return b, nil
}

// binary writes a part without its transfer encoding (RFC 3516 §4.3). The
// size has to be known first, so the part is decoded twice.
func (f *fetcher) binary(s *imap.Section, span mime.Span, ok bool, body store.Body) error {
	enc := f.c.enc
	encoding := ""
	if len(s.Path) > 0 && ok {
		path := make([]int, len(s.Path))
		for i, n := range s.Path {
			path[i] = int(n)
		}
		if at, found := f.structure.Find(path); found {
			encoding = f.structure.Parts[at].Encoding
		}
	}
	open := func() (io.Reader, error) {
		return mime.DecodeReader(io.NewSectionReader(body, span.Start, span.Len()), encoding)
	}
	r, err := open()
	if err != nil {
		f.unknownCTE = true
	}
	if !ok || err != nil {
		enc.Nil()
		return nil
	}
	size, err := io.Copy(io.Discard, r)
	if err != nil {
		return err
	}
	if s.Form == imap.FormBinarySize {
		enc.Number(uint64(size))
		return nil
	}
	if r, err = open(); err != nil {
		return err
	}
	if s.Partial {
		if _, err := io.CopyN(io.Discard, r, min(int64(s.Offset), size)); err != nil {
			return err
		}
		size = min(int64(s.Length), size-min(int64(s.Offset), size))
	}
	return enc.Literal8(size, r)
}
