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

// Flags and methods of a member (APPNOTE 4.4.4, 4.4.5).
const (
	zipEncrypted  = 1 << 0
	zipDescriptor = 1 << 3
	zipMasked     = 1 << 13

	zipStored  = 0
	zipDeflate = 8
	zipBzip2   = 12
)

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
	z.hunter.reset()
	name, err := z.text(nameLen)
	if err != nil {
		return z.swallowed(err)
	}
	extra, err := z.text(extraLen)
	if err != nil {
		return z.swallowed(err)
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
	if err := z.closed(&m, i); err != nil {
		return err
	}
	if m.flags&zipDescriptor != 0 {
		return z.descriptor(m.packed)
	}
	return nil
}

// closed reads a member whose size stands before it.
func (z *zipReader) closed(m *member, i int) error {
	limited := &io.LimitedReader{R: z.br, N: m.packed}
	content := io.TeeReader(limited, &z.hunter)
	z.content(m, i, content)
	_, err := io.Copy(io.Discard, content)
	z.pos += m.packed - limited.N
	if err == nil && limited.N > 0 {
		err = z.swallowed(io.ErrUnexpectedEOF)
	}
	return err
}

// swallowed lists what the directory names in a member that reached to the end
// of the archive by a lie.
func (z *zipReader) swallowed(err error) error {
	return errors.Join(err, z.hunter.list(z.w, z.at))
}

// enter lists a member unless it is a folder.
func (z *zipReader) enter(m *member, at int64) (int, error) {
	if len(z.locals) >= z.w.limits.Items { // folders are no items, but cost memory
		return -1, z.w.end(BoundItems)
	}
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
		z.w.item(z.at).Broken = true
		return nil // something may follow
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
	b, _ := z.br.Peek(22) // it may be the end
	switch {
	case len(b) >= 20 && int64(binary.LittleEndian.Uint64(b[4:])) == n && string(b[12:14]) != "PK":
		return z.skip(20)
	case len(b) >= 12 && int64(binary.LittleEndian.Uint32(b[4:])) == n&0xffffffff:
		return z.skip(12)
	}
	return nil // what follows is no record then, and resync says so
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
