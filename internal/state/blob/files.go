package blob

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"posthorn/internal/base/durable"
)

// FS is the folder segment files live in. Tests replace it to inject errors.
type FS interface {
	// Create makes a new file; it must not exist.
	Create(name string) (File, error)
	Open(name string) (File, error)
	Remove(name string) error
	// Names lists the files; a missing folder is an error.
	Names() ([]string, error)
	// SyncDir makes creations and removals durable.
	SyncDir() error
}

// File is one segment file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes all written data durable (fdatasync).
	Sync() error
	// Allocate reserves room on disk; errors.ErrUnsupported where it cannot.
	Allocate(size int64) error
	// Size is that of the file, with what is reserved.
	Size() (int64, error)
	// Punch gives the room of a stretch back, where the system can.
	Punch(start, length int64) error
}

// Dir is the FS of a real folder, which is created when missing.
func Dir(path string) (FS, error) {
	if err := durable.MakeDir(path, 0o700); err != nil {
		return nil, err
	}
	return dir(path), nil
}

type dir string

type osFile struct{ *os.File }

func (d dir) Create(name string) (File, error) {
	return open(filepath.Join(string(d), name), os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

func (d dir) Open(name string) (File, error) {
	return open(filepath.Join(string(d), name), os.O_RDWR)
}

func open(path string, flag int) (File, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Size implements File.
func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (d dir) Remove(name string) error {
	err := os.Remove(filepath.Join(string(d), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (d dir) Names() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (d dir) SyncDir() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
