package imapd

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	inflate "github.com/mjl-/flate"

	"posthorn/internal/wire/imap"
)

// codeCompressionActive says that COMPRESS is on already (RFC 4978 §3).
const codeCompressionActive imap.Code = "COMPRESSIONACTIVE"

// runCompress is COMPRESS=DEFLATE (RFC 4978). Octets behind the command that
// are not compressed end the connection, as with STARTTLS. All limits of lines
// and literals are those of the octets that come out of the decompressor, so a
// bomb is a line that is too long.
//
// A compressed connection that waits holds up to 4 KB of what it wrote and the
// decompressor with up to 32 KB of what the client sent: in IDLE, 34 KiB are
// measured after a few commands where a plain connection takes 15. Compressors
// are lent for a piece of 16 KB at a time, never while a client receives it.
func runCompress(_ context.Context, c *conn, cmd imap.Command) imap.Response {
	name, err := c.dec.Compress()
	switch {
	case err != nil:
		return failed(err)
	case c.packed:
		return no(codeCompressionActive, "COMPRESS is active already")
	case name != "DEFLATE" || !c.set.Compress:
		return no(imap.CodeCannot, "There is no such compression")
	case c.dec.Buffered() > 0:
		c.closing = true
		return imap.Response{Status: imap.BAD, Text: "Plain text behind COMPRESS"}
	}
	c.enc.Response(cmd.Tag, imap.Response{Status: imap.OK, Text: "DEFLATE active"})
	if c.enc.Flush() == nil {
		c.packed = true
		c.enc.Reset(&packer{dst: &c.out})
		c.dec.Reset(newUnpacker(&c.in))
	}
	return imap.Response{}
}

const (
	// pieceSize is what is compressed at a time: a page of the encoder.
	pieceSize = 16 << 10
	// tailSize is how much of what was written the next piece can refer to.
	// More makes mail text smaller by 5 % at most.
	tailSize = 4 << 10
)

// packer compresses. Every Write ends with a sync flush (RFC 4978 §4).
type packer struct {
	dst  io.Writer
	tail []byte // what was written last, at most tailSize
}

// Write implements io.Writer for the encoder.
func (k *packer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		piece := rest[:min(len(rest), pieceSize)]
		if err := k.write(piece); err != nil {
			return len(p) - len(rest), err
		}
		rest = rest[len(piece):]
	}
	return len(p), nil
}

// parcels lends the buffers of compressed pieces.
var parcels = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (k *packer) write(piece []byte) error {
	parcel := parcels.Get().(*bytes.Buffer)
	defer parcels.Put(parcel)
	parcel.Reset()
	if err := pack(parcel, piece, k.tail); err != nil {
		return err
	}
	k.remember(piece)
	_, err := k.dst.Write(parcel.Bytes())
	return err
}

// remember keeps the end of what was written.
func (k *packer) remember(piece []byte) {
	keep := max(0, min(len(k.tail), tailSize-len(piece)))
	k.tail = append(k.tail[:0], k.tail[len(k.tail)-keep:]...)
	k.tail = append(k.tail, piece[max(0, len(piece)-tailSize):]...)
}

// packers lends compressors, of which each takes 0.8 MB.
var packers = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // only for a level there is none of
	}
	return w
}}

// pack writes piece, which comes behind tail, as whole blocks.
func pack(dst *bytes.Buffer, piece, tail []byte) error {
	w := packers.Get().(*flate.Writer)
	defer packers.Put(w)
	w.ResetDict(dst, tail)
	if _, err := w.Write(piece); err != nil {
		return err
	}
	return w.Flush()
}

// unpacker decompresses. What a client has flushed comes out at once, however
// it flushed: zlib's Z_PARTIAL_FLUSH may keep the last bits of its empty block
// to itself, so only what stands before that block may be waited for.
type unpacker struct {
	src      *source
	received []byte // of buf, not taken yet
	buf      [1 << 10]byte
	z        io.Reader
}

// crumb is the smallest buffer bufio has.
const crumb = 16

func newUnpacker(src *source) *unpacker {
	u := &unpacker{src: src}
	u.z = inflate.NewReaderPartial(bufio.NewReaderSize(crumbs{u}, crumb))
	src.packed = true
	return u
}

// Read implements io.Reader for the decoder.
func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.z.Read(p)
	if n > 0 {
		u.src.begin()
	}
	if err != nil { // an end of the input is told as it was found
		if u.src.err == nil {
			u.src.err = err
		}
		err = u.src.err
	}
	return n, err
}

// crumbs gives the decompressor an octet at a time. It hands out a block at
// its end if its bufio.Reader is empty then, and else begins the next one first.
type crumbs struct{ u *unpacker }

// Read implements io.Reader.
func (c crumbs) Read(p []byte) (int, error) {
	u := c.u
	if len(u.received) == 0 {
		n, err := u.src.Read(u.buf[:])
		if n == 0 {
			return 0, err
		}
		u.received = u.buf[:n]
	}
	if len(p) <= crumb { // larger is for octets of a stored block alone
		p = p[:1]
	}
	n := copy(p, u.received)
	u.received = u.received[n:]
	return n, nil
}
