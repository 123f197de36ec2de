package archive

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// Signatures of records (PKWARE APPNOTE 4.3).
const (
	sigLocal      = 0x04034b50
	sigCentral    = 0x02014b50
	sigEnd        = 0x06054b50
	sigEnd64      = 0x06064b50
	sigLocator64  = 0x07064b50
	sigExtra      = 0x08064b50
	sigSignature  = 0x05054b50
	sigDescriptor = 0x08074b50
	sigSpanned    = 0x30304b50 // "PK00", before the first record
)

// zipReader reads a zip from front to back by its local headers, and then
// compares them with the central directory, which is what most programs go by.
// What only one of them knows is listed too, and the archive is broken.
type zipReader struct {
	w  *walker
	br *bufio.Reader
	at int // the archive's item

	pos     int64 // octets read since the mark
	start   int64 // where the first local header was found
	started bool
	// locals are the members since the last end of a central directory, by
	// the offset of their headers; -1 for folders.
	locals map[int64]int
	ended  bool   // an end record came last
	hunter hunter // of the member being read
}

func (w *walker) zip(br *bufio.Reader, i int) error {
	z := &zipReader{w: w, br: br, at: i, locals: map[int64]int{}}
	err := z.read()
	z.classify()
	return err
}

var errZip = errors.New("archive: not a zip record")

// read reads records to the end of the input.
func (z *zipReader) read() error {
	for {
		head, err := z.br.Peek(4)
		switch {
		case err != nil && z.ended && !z.w.ended && len(bytes.Trim(head, "\x00")) == 0:
			return nil
		case err != nil:
			return io.ErrUnexpectedEOF // no central directory
		}
		sig := binary.LittleEndian.Uint32(head)
		if err := z.record(sig); err != nil {
			return err
		}
	}
}

// record reads one record.
func (z *zipReader) record(sig uint32) error {
	if sig == sigLocal || sig == sigCentral {
		z.ended = false
	}
	switch sig {
	case sigLocal:
		return z.local()
	case sigCentral:
		return z.central()
	case sigEnd:
		return z.end()
	case sigEnd64:
		h, err := z.take(12)
		if err != nil {
			return err
		}
		return z.skip(int64(min(binary.LittleEndian.Uint64(h[4:]), 1<<62)))
	case sigLocator64:
		return z.skip(20)
	case sigExtra:
		h, err := z.take(8)
		if err != nil {
			return err
		}
		return z.skip(int64(binary.LittleEndian.Uint32(h[4:])))
	case sigSignature:
		h, err := z.take(6)
		if err != nil {
			return err
		}
		return z.skip(int64(binary.LittleEndian.Uint16(h[4:])))
	case sigDescriptor, sigSpanned:
		return z.skip(4)
	}
	return z.resync()
}

// resync searches the next record behind octets that are none. Programs look
// for the directory from the end, so anything may stand before it.
func (z *zipReader) resync() error {
	padding := true
	for {
		window, err := z.br.Peek(timeStep / 2)
		for i := 0; i+4 <= len(window); i++ {
			at := bytes.Index(window[i:], []byte("PK"))
			if at < 0 || i+at+4 > len(window) {
				break
			}
			i += at
			switch binary.LittleEndian.Uint32(window[i:]) {
			case sigLocal, sigCentral, sigEnd, sigEnd64:
				z.w.item(z.at).Broken = true
				return z.skip(int64(i))
			}
		}
		padding = padding && len(bytes.Trim(window, "\x00")) == 0
		if err != nil {
			if !z.ended || !padding {
				return errZip
			}
			return z.skip(int64(len(window)))
		}
		if err := z.skip(int64(len(window) - 3)); err != nil {
			return err
		}
	}
}

// take reads n octets, good until the next read.
func (z *zipReader) take(n int) ([]byte, error) {
	b, err := z.br.Peek(n)
	if err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return b, z.skip(int64(n))
}

func (z *zipReader) skip(n int64) error {
	z.pos += n
	return discard(z.br, n)
}

// text reads a string of up to 64 KiB.
func (z *zipReader) text(n uint16) ([]byte, error) {
	b := make([]byte, n)
	got, err := io.ReadFull(z.br, b)
	z.pos += int64(got)
	_, _ = z.hunter.Write(b[:got]) // never fails
	return b, err
}

// central reads an entry of the directory and compares it.
func (z *zipReader) central() error {
	h, err := z.take(46)
	if err != nil {
		return err
	}
	var m member
	m.fields(h[8:])
	nameLen, extraLen := binary.LittleEndian.Uint16(h[28:]), binary.LittleEndian.Uint16(h[30:])
	comment, offset := binary.LittleEndian.Uint16(h[32:]), int64(binary.LittleEndian.Uint32(h[42:]))
	name, err := z.text(nameLen)
	if err != nil {
		return err
	}
	extra, err := z.text(extraLen)
	if err != nil {
		return err
	}
	m.name = zipName(name)
	m.wide(extra, &offset)
	if err := z.compare(&m, offset); err != nil {
		return err
	}
	return z.skip(int64(comment))
}

func (z *zipReader) compare(m *member, offset int64) error {
	at := z.start + offset
	if _, known := z.locals[at]; !known { // offsets may count from the very beginning
		at = offset
	}
	i, known := z.locals[at]
	delete(z.locals, at) // what is left is not in the directory
	folder := m.folder()
	same := known && (i < 0 && folder || i >= 0 && z.w.item(i).Name == CleanName(m.name))
	if same {
		if i >= 0 && z.w.item(i).Size < 0 {
			z.w.item(i).Size = m.unpacked
			z.claim(m)
		}
		return nil
	}
	z.w.item(z.at).Broken = true
	if folder {
		return nil
	}
	it := Item{Name: m.name, Size: m.unpacked, Encrypted: m.encrypted()}
	if i > 0 {
		it.Type = z.w.item(i).Type
	}
	_, err := z.w.add(z.at, it)
	return err
}

// end reads the end record. Another archive may follow, with offsets of its
// own.
func (z *zipReader) end() error {
	h, err := z.take(22)
	if err != nil {
		return err
	}
	comment := binary.LittleEndian.Uint16(h[20:])
	if len(z.locals) > 0 {
		z.w.item(z.at).Broken = true
		clear(z.locals)
	}
	z.started, z.ended = false, true
	return z.skip(int64(comment))
}

// classify finds out which kin of zip the archive is.
func (z *zipReader) classify() {
	items := z.w.report.Items
	it, marked := &items[z.at], false
	for i := z.at + 1; i < len(items); i++ {
		if items[i].Parent != z.at {
			continue
		}
		it.Encrypted = it.Encrypted || items[i].Encrypted
		switch name := strings.ToLower(items[i].Name); {
		case name == "[content_types].xml":
			it.Type = OOXML
		case name == "mimetype":
			marked = true
		case name == "content.xml" && marked: // ODF 1.3 part 2 §3.3
			it.Type = ODF
		case name == "meta-inf/manifest.mf" && it.Type == Zip:
			it.Type = Jar
		case strings.HasSuffix(name, "vbaproject.bin"):
			it.Macros = true
		}
	}
}
