//go:build !linux

package blob

import "errors"

func (f osFile) Sync() error {
	if !SyncsBodies {
		return nil
	}
	return f.File.Sync()
}

func (f osFile) Allocate(int64) error { return errors.ErrUnsupported }

func (f osFile) Punch(int64, int64) error { return errors.ErrUnsupported }
