package sqlstore

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"posthorn/internal/state/store"
)

// tokens implements store.Tokens.
type tokens struct{ s *Store }

const tokenColumns = `name, hash, role, networks, author, created, expires, used`

// hintOf is the part of a hash that rows are looked up by. It tells nothing
// about a secret of 256 random bits, so the time of the look-up may.
func hintOf(hash [32]byte) string { return hex.EncodeToString(hash[:4]) }

func scanToken(r row) (store.TokenRow, error) {
	t := store.TokenRow{Name: r.text(0), Role: r.text(2), Author: r.text(4), Created: timeAt(r, 5), Expires: timeAt(r, 6), Used: timeAt(r, 7)}
	if n := copy(t.Hash[:], r.bytes(1)); n != len(t.Hash) {
		return t, fmt.Errorf("token %s: a hash of %d octets", t.Name, n)
	}
	for text := range strings.FieldsSeq(r.text(3)) {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return t, fmt.Errorf("token %s: %w", t.Name, err)
		}
		t.Networks = append(t.Networks, p)
	}
	return t, nil
}

// Add implements store.Tokens.
func (s *tokens) Add(ctx context.Context, k store.TokenRow) error {
	networks := make([]string, len(k.Networks))
	for i, p := range k.Networks {
		networks[i] = p.String()
	}
	return s.s.write(ctx, func(t *txn) error {
		n, err := t.exec(`INSERT INTO token (name, hint, hash, role, networks, author, created, expires, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (name) DO NOTHING`,
			k.Name, hintOf(k.Hash), k.Hash[:], k.Role, strings.Join(networks, " "), k.Author, k.Created, k.Expires, k.Used)
		if err == nil && n == 0 {
			err = fmt.Errorf("token %s: %w", k.Name, store.ErrExists)
		}
		return err
	})
}

// Remove implements store.Tokens.
func (s *tokens) Remove(ctx context.Context, name string) error {
	return s.s.remove(ctx, func(t *txn) error {
		n, err := t.exec(`DELETE FROM token WHERE name = ?`, name)
		if err == nil && n == 0 {
			err = fmt.Errorf("token %s: %w", name, store.ErrNotFound)
		}
		return err
	})
}

// rows reads the tokens a query selects.
func (s *tokens) rows(ctx context.Context, query string, args ...any) (out []store.TokenRow, err error) {
	err = s.s.read(ctx, func(t tx) error {
		out = nil
		return t.query(query, args, func(r row) error {
			k, err := scanToken(r)
			out = append(out, k)
			return err
		})
	})
	return out, err
}

// Get implements store.Tokens.
func (s *tokens) Get(ctx context.Context, name string) (store.TokenRow, error) {
	found, err := s.rows(ctx, `SELECT `+tokenColumns+` FROM token WHERE name = ?`, name)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("token %s: %w", name, store.ErrNotFound)
	}
	if err != nil {
		return store.TokenRow{}, err
	}
	return found[0], nil
}

// List implements store.Tokens.
func (s *tokens) List(ctx context.Context, after string, limit int) ([]store.TokenRow, error) {
	return s.rows(ctx, `SELECT `+tokenColumns+` FROM token WHERE name > ? ORDER BY name LIMIT ?`, after, pageSize(limit))
}

// Find implements store.Tokens.
func (s *tokens) Find(ctx context.Context, hash [32]byte) (store.TokenRow, error) {
	found, err := s.rows(ctx, `SELECT `+tokenColumns+` FROM token WHERE hint = ?`, hintOf(hash))
	if err != nil {
		return store.TokenRow{}, err
	}
	for _, k := range found {
		if subtle.ConstantTimeCompare(k.Hash[:], hash[:]) == 1 {
			return k, nil
		}
	}
	return store.TokenRow{}, fmt.Errorf("token: %w", store.ErrNotFound)
}

// Touch implements store.Tokens.
func (s *tokens) Touch(ctx context.Context, name string, used time.Time) error {
	return s.s.write(ctx, func(t *txn) error {
		return t.put(`UPDATE token SET used = ? WHERE name = ? AND used < ?`, used, name, used)
	})
}
