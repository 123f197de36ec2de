package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/chacha20poly1305"

	"posthorn/internal/base/durable"
)

// OpenFile reads the key file. Errors name the file and the remedy; a missing
// one wraps fs.ErrNotExist.
func OpenFile(path string) (*Box, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("key file %s is missing: put it back from where you keep it; without it stored secrets must be entered again: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("key file: %w; the server's user must be able to read it", err)
	}
	defer func() { _ = f.Close() }() // read only
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key file %s is not a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key file %s can be read by others (mode %04o): chmod 600 it, and replace the secrets if strangers use this machine", path, info.Mode().Perm())
	}
	key, err := io.ReadAll(io.LimitReader(f, chacha20poly1305.KeySize+1))
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	if len(key) != chacha20poly1305.KeySize {
		return nil, fmt.Errorf("key file %s does not have exactly %d octets: put the right one back from where you keep it", path, chacha20poly1305.KeySize)
	}
	return newBox(key, path)
}

// CreateFile makes a new key file and opens it. It never replaces one: an
// existing file is an error wrapping fs.ErrExist. When it returns nil the
// file is durable and complete; a crash leaves all of it or nothing under path.
func CreateFile(path string) (*Box, error) {
	key := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	if err := writeNew(path, key); err != nil {
		return nil, fmt.Errorf("make key file %s: %w", path, err)
	}
	return newBox(key, path)
}

// OpenOrCreate opens the key file, or makes one where none is and fresh says
// that nothing can have been sealed yet: a lost key must not be replaced in
// silence.
func OpenOrCreate(path string, fresh bool) (*Box, error) {
	box, err := OpenFile(path)
	if !fresh || !errors.Is(err, fs.ErrNotExist) {
		return box, err
	}
	box, err = CreateFile(path)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return OpenFile(path)
	}
	return box, err
}

// writeNew writes a temporary file, syncs it and links it to path, which fails
// where path exists.
func writeNew(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-key-*") // O_EXCL, mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Link(tmp.Name(), path)
	}
	err = errors.Join(err, os.Remove(tmp.Name()))
	if err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}
