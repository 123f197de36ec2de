package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"posthorn/internal/base/durable"
	"posthorn/internal/base/seal"
)

// trialFile keeps the passwords of quickstart's accounts, sealed, so that
// `posthorn try` can log in with them.
const trialFile = "trial.sealed"

// SaveTrial keeps passwords by address for LoadTrial.
func (h *House) SaveTrial(passwords map[string]string) error {
	text, err := json.Marshal(passwords)
	if err != nil {
		return err
	}
	sealed, err := h.box.Seal(trialFile, text)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(h.Config.Data, trialFile), []byte(sealed+"\n"), 0o600)
}

// LoadTrial returns the passwords quickstart gave out for the data folder; none
// where there was no quickstart.
func LoadTrial(data string) (map[string]string, error) {
	passwords := map[string]string{}
	sealed, err := os.ReadFile(filepath.Join(data, trialFile))
	if errors.Is(err, fs.ErrNotExist) {
		return passwords, nil
	}
	if err != nil {
		return nil, fmt.Errorf("passwords of the trial: %w", err)
	}
	box, err := seal.OpenFile(filepath.Join(data, keyFile))
	if err != nil {
		return nil, err
	}
	text, err := box.Open(trialFile, string(trimNewline(sealed)))
	if err != nil {
		return nil, fmt.Errorf("passwords of the trial: %w", err)
	}
	return passwords, json.Unmarshal(text, &passwords)
}

func trimNewline(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	return b
}

// HasPassword reports whether an account can log in by this password.
func (h *House) HasPassword(ctx context.Context, address, password string) bool {
	row, err := h.Directory.Login(ctx, address)
	if err != nil {
		return false
	}
	_, err = h.passwords.Verify(ctx, address, row.Password, password)
	return err == nil
}
