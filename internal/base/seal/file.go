package seal

import (
	"bytes"
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

// renewal is what an administrator writes into the key file when the key is
// lost for good.
const renewal = "new"

// ErrRenew says that the key file asks for a new key.
var ErrRenew = errors.New("asks for a new key; the next start of the server makes it")

// lost tells the way out when there is no copy of a key.
func lost(path string) string {
	return "if it is lost for good, write the word new into the file (echo new > " + path + ") and enter stored secrets again"
}

// Wrong is the error of a box whose key is not the one that what is stored
// elsewhere was sealed with.
func (b *Box) Wrong() error {
	return fmt.Errorf("the secrets in the store are %w than the one in %s: put the right key file back from where you keep it, or copy %s from the data folder of another node of the same database, whose first start made it; %s",
		ErrKey, b.path, filepath.Base(b.path), lost(b.path))
}

// OpenFile reads the key file. Errors name the file and the remedy; a missing
// one wraps fs.ErrNotExist, one that asks for a new key ErrRenew.
func OpenFile(path string) (*Box, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("key file %s is missing: put it back from where you keep it; %s: %w", path, lost(path), fs.ErrNotExist)
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
	key, err := io.ReadAll(io.LimitReader(f, chacha20poly1305.KeySize+1))
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	if string(bytes.TrimSpace(key)) == renewal {
		return nil, fmt.Errorf("key file %s %w", path, ErrRenew)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key file %s can be read by others (mode %04o): chmod 600 it, and replace the secrets if strangers use this machine", path, info.Mode().Perm())
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

// RenewFile puts a new key into a key file that asks for one, and opens it. When
// it returns nil the file is durable.
func RenewFile(path string) (*Box, error) {
	if box, err := OpenFile(path); !errors.Is(err, ErrRenew) {
		return box, err
	}
	key := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	if err := durable.WriteFile(path, key, 0o600); err != nil {
		return nil, fmt.Errorf("new key in %s: %w", path, err)
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
