package app

import (
	"testing"

	"posthorn/internal/app/boot"
)

// newHouse opens a house in a folder of its own.
func newHouse(t *testing.T, o OpenOptions) *House {
	t.Helper()
	h, err := Open(t.Context(), boot.Config{Data: t.TempDir()}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}
