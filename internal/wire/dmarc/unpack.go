package dmarc

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
)

// Bounds of a packed report. Reports repeat themselves and pack well, some
// eighty to one; what packs far better is no report.
const (
	MaxPacked  = 16 << 20 // octets
	maxPlain   = 32 << 20
	maxRatio   = 300
	free       = 1 << 20 // for which the ratio is not looked at
	maxEntries = 8
)

// unpack returns the XML of a report.
func unpack(data []byte) ([]byte, error) {
	switch {
	case len(data) > MaxPacked:
		return nil, fmt.Errorf("%w: over %d octets", ErrReport, MaxPacked)
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		return gunzip(data)
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return unzip(data)
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
}

func gunzip(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: gzip: %w", ErrReport, err)
	}
	z.Multistream(false) // what follows is not ours
	return plain(z, len(data), "gzip")
}

// directoryEntry begins the entry of a file in an archive's directory.
const directoryEntry = "PK\x01\x02"

// unzip returns the one file of the archive, or the one named .xml.
func unzip(data []byte) ([]byte, error) {
	// Reading a directory takes several times its length, so it is not read first.
	if n := bytes.Count(data, []byte(directoryEntry)); n > 2*maxEntries {
		return nil, fmt.Errorf("%w: zip: %d files", ErrReport, n)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("%w: zip: %w", ErrReport, err)
	}
	if len(z.File) > maxEntries {
		return nil, fmt.Errorf("%w: zip: %d files", ErrReport, len(z.File))
	}
	for _, f := range z.File {
		if len(z.File) > 1 && !strings.HasSuffix(strings.ToLower(f.Name), ".xml") || f.FileInfo().IsDir() {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("%w: zip: %w", ErrReport, err)
		}
		text, err := plain(r, len(data), "zip")
		if closed := r.Close(); err == nil && closed != nil {
			err = fmt.Errorf("%w: zip: %w", ErrReport, closed)
		}
		return text, err
	}
	return nil, fmt.Errorf("%w: zip: no XML file", ErrReport)
}

// plain reads to the end, as long as size and ratio are those of a report.
func plain(r io.Reader, packed int, kind string) ([]byte, error) {
	most := min(maxPlain, max(free, packed*maxRatio))
	text, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if len(text) > most {
		return nil, fmt.Errorf("%w: %s: over %d octets from %d", ErrReport, kind, most, packed)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrReport, kind, err)
	}
	return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), nil
}
