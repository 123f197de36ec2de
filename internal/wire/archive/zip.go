package archive

import (
	"bufio"
	"bytes"
	"compress/bzip2"
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

// Flags and methods of a member (APPNOTE 4.4.4, 4.4.5).
const (
	zipEncrypted  = 1 << 0
	zipDescriptor = 1 << 3
	zipMasked     = 1 << 13

	zipStored  = 0
	zipDeflate = 8
	zipBzip2   = 12
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
	ended  bool // an end record came last
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
	return b, err
}

// member is what a header says about one.
type member struct {
	flags, method    uint16
	packed, unpacked int64
	name             string
}

func (m *member) folder() bool { return strings.HasSuffix(m.name, "/") }

func (m *member) encrypted() bool { return m.flags&(zipEncrypted|zipMasked) != 0 }

// fields reads flags to sizes, which local and central headers share.
func (m *member) fields(h []byte) {
	m.flags, m.method = binary.LittleEndian.Uint16(h), binary.LittleEndian.Uint16(h[2:])
	m.packed, m.unpacked = int64(binary.LittleEndian.Uint32(h[12:])), int64(binary.LittleEndian.Uint32(h[16:]))
}

// wide reads sizes and offset that did not fit into 32 bits (APPNOTE 4.5.3).
func (m *member) wide(extra []byte, offset *int64) {
	for len(extra) >= 4 {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		extra = extra[4:]
		if n > len(extra) {
			return
		}
		if id == 1 {
			field := extra[:n]
			for _, v := range []*int64{&m.unpacked, &m.packed, offset} {
				if *v == 0xffffffff && len(field) >= 8 {
					*v = int64(binary.LittleEndian.Uint64(field))
					field = field[8:]
				}
			}
		}
		extra = extra[n:]
	}
}

// local reads a member: header, content and descriptor.
func (z *zipReader) local() error {
	at := z.pos
	if !z.started {
		z.started, z.start = true, at
	}
	h, err := z.take(30)
	if err != nil {
		return err
	}
	var m member
	m.fields(h[6:])
	nameLen, extraLen := binary.LittleEndian.Uint16(h[26:]), binary.LittleEndian.Uint16(h[28:])
	name, err := z.text(nameLen)
	if err != nil {
		return err
	}
	extra, err := z.text(extraLen)
	if err != nil {
		return err
	}
	m.name = zipName(name)
	var none int64
	m.wide(extra, &none)
	i, err := z.enter(&m, at)
	if err != nil {
		return err
	}
	if m.flags&zipDescriptor != 0 && m.packed == 0 {
		return z.open(&m, i)
	}
	content := &io.LimitedReader{R: z.br, N: m.packed}
	z.content(&m, i, content)
	z.pos += m.packed - content.N
	if err := z.skip(content.N); err != nil {
		return err
	}
	if m.flags&zipDescriptor != 0 {
		return z.descriptor(m.packed)
	}
	return nil
}

// enter lists a member unless it is a folder.
func (z *zipReader) enter(m *member, at int64) (int, error) {
	z.locals[at] = -1
	if m.folder() {
		return -1, nil
	}
	it := Item{Name: m.name, Size: m.unpacked, Encrypted: m.encrypted()}
	if m.flags&zipDescriptor != 0 && m.unpacked == 0 {
		it.Size = -1
	}
	z.claim(m)
	i, err := z.w.add(z.at, it)
	z.locals[at] = i
	return i, err
}

// claim notes a member that says itself that it is a bomb.
func (z *zipReader) claim(m *member) {
	if m.unpacked > ratioFloor && m.unpacked/z.w.limits.Ratio > m.packed && (m.flags&zipDescriptor == 0 || m.packed > 0) {
		z.w.note(BoundRatio)
	}
}

// content looks at a member's content.
func (z *zipReader) content(m *member, i int, r io.Reader) {
	if i < 0 || m.encrypted() {
		return
	}
	switch m.method {
	case zipStored:
	case zipDeflate:
		r = z.w.inflate(r, z.w.item(i).Depth)
	case zipBzip2:
		r = z.w.meterOut(bzip2.NewReader(r))
	default:
		return
	}
	z.w.look(r, i)
}

// open reads a member whose size stands behind it. Deflated data tells its
// own end, for everything else the descriptor is searched.
func (z *zipReader) open(m *member, i int) error {
	source := &counter{br: z.br}
	var r io.Reader
	if m.method == zipDeflate && !m.encrypted() {
		r = z.w.inflate(source, z.w.item(z.at).Depth+1)
		if i >= 0 {
			z.w.look(r, i)
		}
	} else {
		u := &undelimited{source: source}
		z.content(m, i, u)
		r = u
	}
	_, err := io.Copy(io.Discard, r)
	z.pos += source.n
	if err != nil {
		return err
	}
	return z.descriptor(source.n)
}

// descriptor reads the sizes behind a member of n packed octets (APPNOTE
// 4.3.9): with or without signature, in 32 or 64 bits.
func (z *zipReader) descriptor(n int64) error {
	if b, err := z.br.Peek(4); err == nil && binary.LittleEndian.Uint32(b) == sigDescriptor {
		if err := z.skip(4); err != nil {
			return err
		}
	}
	b, _ := z.br.Peek(20) // it may be the end
	switch {
	case len(b) >= 12 && int64(binary.LittleEndian.Uint32(b[4:])) == n&0xffffffff:
		return z.skip(12)
	case len(b) >= 20 && int64(binary.LittleEndian.Uint64(b[4:])) == n:
		return z.skip(20)
	}
	return nil // what follows is no record then, and resync says so
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

// counter counts the octets a decompressor takes, which are no more than it
// needs as it can take them one by one.
type counter struct {
	br *bufio.Reader
	n  int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.br.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) ReadByte() (byte, error) {
	b, err := c.br.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// undelimited ends before the descriptor that states the size read so far.
type undelimited struct{ source *counter }

func (u *undelimited) Read(p []byte) (int, error) {
	mark := []byte("PK\x07\x08")
	window, err := u.source.br.Peek(peekSize / 2)
	at := bytes.Index(window, mark)
	switch {
	case at == 0 && len(window) >= 16 && u.ends(window):
		return 0, io.EOF
	case at == 0:
		at = 1
	case at < 0 && err != nil: // the last octets, and no descriptor
		at = len(window)
	case at < 0:
		at = len(window) - len(mark) + 1
	}
	if at == 0 {
		if errors.Is(err, io.EOF) {
			return 0, io.ErrUnexpectedEOF
		}
		return 0, err
	}
	return u.source.Read(p[:min(at, len(p))])
}

func (u *undelimited) ends(window []byte) bool {
	narrow := int64(binary.LittleEndian.Uint32(window[8:])) == u.source.n&0xffffffff
	return narrow || len(window) >= 24 && int64(binary.LittleEndian.Uint64(window[8:])) == u.source.n
}
