package sqlstore

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"posthorn/internal/base/event"
	"posthorn/internal/state/blob"
	"posthorn/internal/state/store"
)

// disk keeps room for deletions. Growth is refused while the file system has
// less than a quarter of the reserve free; besides, a file of the reserve's
// size stands against whatever else fills the disk, and is given up when a
// deletion needs it (a deletion writes, too: log pages, and then the pages of
// the database). It is made anew when there is room for it twice.
type disk struct {
	dir     string
	reserve int64
	log     *event.Logger
	full    bool // told so
	f       blob.File
	folder  blob.FS
}

const reserveName = "reserve"

func (d *disk) open() {
	folder, err := blob.Dir(d.dir)
	if err != nil {
		d.trouble("making the reserve for a full disk", err)
		return
	}
	d.folder = folder
	d.fill()
}

// fill makes the reserve file, if there is room.
func (d *disk) fill() {
	f, err := d.folder.Open(reserveName)
	if errors.Is(err, os.ErrNotExist) {
		f, err = d.folder.Create(reserveName)
	}
	if err == nil {
		if err = f.Allocate(d.reserve); errors.Is(err, errors.ErrUnsupported) {
			err = nil
		}
		if err != nil {
			err = errors.Join(err, f.Close(), d.folder.Remove(reserveName))
		}
	}
	if err != nil {
		d.trouble("making the reserve for a full disk", err)
		return
	}
	d.f = f
}

// low reports that only deletions may write now.
func (d *disk) low() bool {
	free, _, err := diskRoom(d.dir)
	if err != nil {
		d.trouble("asking for the free room", err)
		return false
	}
	if d.f == nil && d.folder != nil && free > 2*d.reserve {
		d.fill()
	}
	return free < d.reserve/4
}

// release gives the reserve up and reports whether there was one.
func (d *disk) release() bool {
	if d.f == nil {
		return false
	}
	err := errors.Join(d.f.Close(), d.folder.Remove(reserveName))
	d.f = nil
	if err != nil {
		d.trouble("giving up the reserve for deletions", err)
	}
	return true
}

// tell says, once, that there is no room, and when there is again: enough to
// have the reserve back.
func (d *disk) tell(full bool) {
	switch {
	case full && !d.full:
		d.log.Log(event.StoreFull, slog.String("folder", d.dir))
	case !full && d.full && (d.f != nil || d.folder == nil):
		d.log.Log(event.StoreRecovered, slog.String("folder", d.dir))
	default:
		return
	}
	d.full = full
}

func (d *disk) trouble(what string, err error) {
	d.log.Log(event.StoreTrouble, slog.String("what", what), slog.String("folder", d.dir), event.Err(err))
}

func (d *disk) close() error {
	if d.f == nil {
		return nil
	}
	return d.f.Close()
}

// noRoom reports that the disk is full to the last few pages.
func noRoom(dir string) bool {
	free, _, err := diskRoom(dir)
	return err == nil && free < 1<<20
}

func (e *sqliteEngine) room(context.Context) (store.Room, error) {
	free, total, err := diskRoom(e.dir)
	r := store.Room{Free: max(0, free-e.s.o.Reserve/4), Total: total}
	if p := e.writer.failed.Load(); p != nil {
		r.ReadOnly = *p
	}
	return r, err
}
