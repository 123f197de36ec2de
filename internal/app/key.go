package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"posthorn/internal/base/event"
	"posthorn/internal/base/seal"
)

// unused reports a folder that holds nothing of a house: only there a missing
// key was never made. A key that is lost must not be replaced in silence. An
// empty store folder is a place where somebody mounted a disk.
func unused(data string) bool {
	for _, name := range []string{keyFile, filepath.Join(storeDir, database), recordFile, nodeFile} {
		if _, err := os.Lstat(filepath.Join(data, name)); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// openKey opens the key file, or makes it in a fresh folder. There is no box
// yet where the file asks for a new key: that is made when nobody else can have
// the folder (checkKey).
func (h *House) openKey(fresh bool) (err error) {
	h.box, err = seal.OpenOrCreate(filepath.Join(h.Config.Data, keyFile), fresh)
	if errors.Is(err, seal.ErrRenew) {
		return nil
	}
	return err
}

// checkKey refuses a key that is not the one the store's secrets are sealed
// with: a node the key was not copied to, or a restored copy without it. A
// store that has no mark yet gets one.
func (h *House) checkKey(ctx context.Context) (err error) {
	renew := h.box == nil
	if renew {
		if h.box, err = seal.RenewFile(filepath.Join(h.Config.Data, keyFile)); err != nil {
			return err
		}
	}
	mine, err := h.box.Mark()
	if err != nil {
		return err
	}
	mark, err := h.Store.KeyMark(ctx)
	if err != nil {
		return err
	}
	if mark == 0 || renew {
		if err := h.Store.SetKeyMark(ctx, mine, renew); err != nil {
			if renew {
				return err
			}
			h.Log.Log(event.StoreFailed, event.Err(err)) // a full disk; the next start tries again
			return nil
		}
		if mark, err = h.Store.KeyMark(ctx); err != nil { // another node may have been faster
			return err
		}
	}
	if mark != mine {
		return h.box.Wrong()
	}
	return nil
}
