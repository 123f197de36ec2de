package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"strings"
)

// gzip has one member, named in the header if at all (RFC 1952 §2.3).
func (w *walker) gzip(br *bufio.Reader, i int) error {
	z, err := gzip.NewReader(br)
	if err != nil {
		return err
	}
	return w.single(z, i, z.Name)
}

func (w *walker) bzip2(br *bufio.Reader, i int) error {
	return w.single(bzip2.NewReader(br), i, "")
}

// single looks at the one member of a compressed file. The rest is unpacked
// only if there is a container in it, so damage far behind goes unseen.
func (w *walker) single(r io.Reader, parent int, name string) error {
	i, err := w.add(parent, Item{Name: name, Size: -1})
	if err != nil {
		return err
	}
	remember := &failing{r: r}
	w.look(w.meterOut(remember), i)
	return remember.err
}

// failing remembers why a reader ended early.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

func (w *walker) tar(br *bufio.Reader, parent int) error {
	t := tar.NewReader(br)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return err
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		i, err := w.add(parent, Item{Name: h.Name, Size: h.Size})
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg && !sparse(h) {
			w.look(t, i)
		}
	}
}

// sparse reports a member whose holes would be unpacked out of nothing.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// What the directory of an Office file (MS-CFB §2.6.1) names in UTF-16.
var (
	oleEncrypted = utf16("EncryptedPackage")
	oleMacros    = utf16("_VBA_PROJECT")
)

func utf16(s string) []byte {
	b := make([]byte, 0, 2*len(s))
	for _, c := range []byte(s) {
		b = append(b, c, 0)
	}
	return b
}

// ole searches an Office file for signs of encryption and macros; its
// directory may lie anywhere in it.
func (w *walker) ole(br *bufio.Reader, i int) {
	overlap := max(len(oleEncrypted), len(oleMacros))
	window := make([]byte, 0, 32<<10)
	for {
		n, err := br.Read(window[len(window):cap(window)])
		window = window[:len(window)+n]
		it := w.item(i)
		it.Encrypted = it.Encrypted || bytes.Contains(window, oleEncrypted)
		it.Macros = it.Macros || bytes.Contains(window, oleMacros)
		if err != nil {
			return
		}
		if keep := min(overlap, len(window)); len(window) > cap(window)/2 {
			window = window[:copy(window, window[len(window)-keep:])]
		}
	}
}
