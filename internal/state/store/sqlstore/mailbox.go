package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"posthorn/internal/state/store"
)

// Bounds of an account's mailboxes.
const (
	maxMailboxes = 10_000
	maxLevels    = 64
	maxName      = 1000 // octets
)

// fold gives a mailbox name its stored form: INBOX in capitals, alone or as
// the first level (RFC 3501 §5.1).
func fold(name string) string {
	first, rest, nested := strings.Cut(name, "/")
	if !strings.EqualFold(first, "INBOX") {
		return name
	}
	if nested {
		return "INBOX/" + rest
	}
	return "INBOX"
}

// checkName refuses names that could not be divided into levels.
func checkName(name string) error {
	levels := strings.Split(name, "/")
	switch {
	case len(name) > maxName || len(levels) > maxLevels:
		return fmt.Errorf("mailbox name too long: %w", store.ErrLimit)
	case strings.ContainsRune(name, 0), !utf8.ValidString(name):
		return fmt.Errorf("mailbox name %q is not text: %w", name, store.ErrInvalid)
	}
	for _, level := range levels {
		if level == "" {
			return fmt.Errorf("mailbox name %q has an empty level: %w", name, store.ErrInvalid)
		}
	}
	return nil
}

// Mailboxes implements store.Account.
func (a *account) Mailboxes(ctx context.Context) ([]store.Mailbox, error) {
	var list []store.Mailbox
	err := a.s.read(ctx, func(t tx) error {
		if err := a.exists(t); err != nil {
			return err
		}
		list = list[:0]
		at := map[store.MailboxID]int{}
		err := t.query(`SELECT `+boxColumns+` FROM mailbox WHERE account_id = ? ORDER BY name`, []any{a.id}, func(r row) error {
			b := scanBox(r)
			at[b.ID] = len(list)
			list = append(list, b.Mailbox)
			return nil
		})
		if err != nil {
			return err
		}
		err = t.query(`SELECT mailbox_id, name FROM keyword WHERE account_id = ? ORDER BY mailbox_id, position`, []any{a.id}, func(r row) error {
			if i, ok := at[store.MailboxID(r.int(0))]; ok {
				list[i].Keywords = append(list[i].Keywords, r.text(1))
			}
			return nil
		})
		if err != nil {
			return err
		}
		subscribed := map[string]bool{}
		err = t.query(`SELECT name FROM subscription WHERE account_id = ?`, []any{a.id}, func(r row) error {
			subscribed[r.text(0)] = true
			return nil
		})
		for i := range list {
			list[i].Subscribed = subscribed[list[i].Name]
		}
		return err
	})
	return list, err
}

// Mailbox implements store.Account.
func (a *account) Mailbox(ctx context.Context, id store.MailboxID) (store.Mailbox, error) {
	return a.readMailbox(ctx, `id`, id, fmt.Sprint(id))
}

// FindMailbox implements store.Account.
func (a *account) FindMailbox(ctx context.Context, name string) (store.Mailbox, error) {
	name = fold(name)
	if checkName(name) != nil {
		return store.Mailbox{}, fmt.Errorf("mailbox %q: %w", name, store.ErrNotFound)
	}
	return a.readMailbox(ctx, `name`, name, name)
}

func (a *account) readMailbox(ctx context.Context, column string, key any, what string) (store.Mailbox, error) {
	var b *boxState
	err := a.s.read(ctx, func(t tx) error {
		var err error
		b, err = a.findBox(t, column, key, what)
		return err
	})
	if err != nil {
		return store.Mailbox{}, err
	}
	return b.Mailbox, nil
}

// findBox reads a mailbox row with keywords and subscription; ErrNotFound.
func (a *account) findBox(t tx, column string, key any, what string) (*boxState, error) {
	var b *boxState
	_, err := one(t, `SELECT `+boxColumns+` FROM mailbox WHERE account_id = ? AND `+column+` = ?`, []any{a.id, key}, func(r row) error {
		b = scanBox(r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, fmt.Errorf("mailbox %s: %w", what, store.ErrNotFound)
	}
	if b.Keywords, err = loadKeywords(t, a.id, b.ID); err != nil {
		return nil, err
	}
	b.Subscribed, err = one(t, `SELECT 1 FROM subscription WHERE account_id = ? AND name = ?`, []any{a.id, b.Name}, func(row) error { return nil })
	return b, err
}

// CreateMailbox implements store.Account.
func (a *account) CreateMailbox(ctx context.Context, name string, role store.Role) (store.Mailbox, error) {
	name = fold(name)
	if err := checkName(name); err != nil {
		return store.Mailbox{}, err
	}
	if role == store.RoleInbox {
		return store.Mailbox{}, fmt.Errorf("mailbox %s: INBOX is INBOX: %w", name, store.ErrInvalid)
	}
	var made store.Mailbox
	err := a.write(ctx, func(t *txn, st *accountState) error {
		b, err := t.createPath(st, name, role)
		if err == nil {
			made = b.Mailbox
			made.Subscribed, err = one(t, `SELECT 1 FROM subscription WHERE account_id = ? AND name = ?`, []any{st.id, name}, func(row) error { return nil })
		}
		return err
	})
	return made, err
}

// createPath makes a mailbox and the parents it lacks.
func (t *txn) createPath(st *accountState, name string, role store.Role) (*boxState, error) {
	if taken, err := t.nameTaken(st, name); err != nil || taken {
		if taken {
			err = fmt.Errorf("mailbox %s: %w", name, store.ErrExists)
		}
		return nil, err
	}
	levels := strings.Split(name, "/")
	if err := t.roomForMailboxes(st, len(levels)); err != nil {
		return nil, err
	}
	for i := 1; i < len(levels); i++ {
		parent := strings.Join(levels[:i], "/")
		if taken, err := t.nameTaken(st, parent); err != nil {
			return nil, err
		} else if taken {
			continue
		}
		if _, err := t.addMailbox(st, parent, store.RoleNone); err != nil {
			return nil, err
		}
	}
	return t.addMailbox(st, name, role)
}

func (t *txn) roomForMailboxes(st *accountState, n int) error {
	var have int64
	_, err := one(t, `SELECT COUNT(*) FROM mailbox WHERE account_id = ?`, []any{st.id}, func(r row) error {
		have = r.int(0)
		return nil
	})
	if err == nil && have+int64(n) > maxMailboxes {
		err = fmt.Errorf("account %d has %d mailboxes: %w", st.id, have, store.ErrLimit)
	}
	return err
}

func (t *txn) nameTaken(st *accountState, name string) (bool, error) {
	return one(t, `SELECT 1 FROM mailbox WHERE account_id = ? AND name = ?`, []any{st.id, name}, func(row) error { return nil })
}

// addMailbox inserts one mailbox row. A role belongs to one mailbox at a time:
// the newest has it.
func (t *txn) addMailbox(st *accountState, name string, role store.Role) (*boxState, error) {
	id, err := t.newID("mailbox")
	if err != nil {
		return nil, err
	}
	if role != store.RoleNone {
		if err := t.put(`UPDATE mailbox SET role = 0 WHERE account_id = ? AND role = ?`, st.id, role); err != nil {
			return nil, err
		}
		if old := st.roles[role]; old != nil {
			old.Role = store.RoleNone
		}
	}
	validity, err := t.newUIDValidity(st)
	if err != nil {
		return nil, err
	}
	b := &boxState{Mailbox: store.Mailbox{ID: store.MailboxID(id), Name: name, Role: role, UIDNext: 1, UIDValidity: validity}}
	b.logFloor = st.step(b)
	err = t.put(`INSERT INTO mailbox (account_id, id, name, role, uid_validity, uid_next, mod_seq, messages, unseen, deleted, size, recent, log_floor, log_rows)
		VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 1, ?, 0)`, st.id, b.ID, name, role, b.UIDValidity, b.UIDNext, b.HighestModSeq, b.logFloor)
	if err != nil {
		return nil, err
	}
	b.recent = 1
	st.boxes[b.ID] = b
	if role != store.RoleNone {
		st.roles[role] = b
	}
	return b, nil
}

// RenameMailbox implements store.Account.
func (a *account) RenameMailbox(ctx context.Context, id store.MailboxID, name string) error {
	name = fold(name)
	if err := checkName(name); err != nil {
		return err
	}
	return a.inBox(ctx, id, func(t *txn, st *accountState, b *boxState) error {
		if b.Role == store.RoleInbox || b.Name == "INBOX" {
			return t.renameInbox(st, b, name)
		}
		return t.rename(st, b, name)
	})
}

// renameInbox moves the messages to a new mailbox; INBOX and its children stay
// (RFC 3501 §6.3.5).
func (t *txn) renameInbox(st *accountState, inbox *boxState, name string) error {
	to, err := t.createPath(st, name, store.RoleNone)
	if err != nil {
		return err
	}
	_, err = t.transfer(st, transfer{from: inbox, to: to, uids: []store.UIDRange{{First: 1, Last: inbox.UIDNext}}, move: true})
	return err
}

// rename gives a mailbox and its children new names.
func (t *txn) rename(st *accountState, b *boxState, name string) error {
	old := b.Name
	if name == old || strings.HasPrefix(name, old+"/") {
		return fmt.Errorf("mailbox %s to %s: %w", old, name, store.ErrInvalid)
	}
	if taken, err := t.nameTaken(st, name); err != nil || taken {
		if taken {
			err = fmt.Errorf("mailbox %s: %w", name, store.ErrExists)
		}
		return err
	}
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		if taken, err := t.nameTaken(st, name[:i]); err != nil {
			return err
		} else if !taken {
			if _, err := t.createPath(st, name[:i], store.RoleNone); err != nil {
				return err
			}
		}
	}
	return t.renameTree(st, b, old, name)
}

func (t *txn) renameTree(st *accountState, b *boxState, old, name string) error {
	renames := map[store.MailboxID]string{b.ID: name}
	// "0" follows "/" in byte order, so this is the range of the children.
	err := t.query(`SELECT id, name FROM mailbox WHERE account_id = ? AND name > ? AND name < ?`,
		[]any{st.id, old + "/", old + "0"}, func(r row) error {
			renames[store.MailboxID(r.int(0))] = name + strings.TrimPrefix(r.text(1), old)
			return nil
		})
	if err != nil {
		return err
	}
	for id, to := range renames {
		if err := checkName(to); err != nil {
			return err
		}
		box, err := t.box(st, id)
		if err != nil {
			return err
		}
		n, err := t.exec(`UPDATE mailbox SET name = ? WHERE account_id = ? AND id = ?
			AND NOT EXISTS (SELECT 1 FROM mailbox AS other WHERE other.account_id = ? AND other.name = ?)`, to, st.id, id, st.id, to)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("mailbox %s: %w", to, store.ErrExists)
		}
		box.Name = to
		st.step(box)
	}
	return nil
}

// DeleteMailbox implements store.Account. The messages are gone at once for
// callers; their rows go in small steps.
func (a *account) DeleteMailbox(ctx context.Context, id store.MailboxID) error {
	return a.remove(ctx, func(t *txn, st *accountState) error {
		b, err := t.box(st, id)
		if err != nil {
			return err
		}
		if b.Name == "INBOX" {
			return fmt.Errorf("INBOX cannot be deleted: %w", store.ErrInvalid)
		}
		st.modSeq++
		st.messages -= int64(b.Messages)
		st.bytes -= b.Size
		st.dirty = true
		delete(st.boxes, id)
		delete(st.roles, b.Role)
		if err := t.put(`DELETE FROM mailbox WHERE account_id = ? AND id = ?`, st.id, id); err != nil {
			return err
		}
		return t.discard(piece{account: st.id, mailbox: id, refs: 1})
	})
}

// SetSubscribed implements store.Account.
func (a *account) SetSubscribed(ctx context.Context, name string, on bool) error {
	name = fold(name)
	if err := checkName(name); err != nil {
		return err
	}
	return a.write(ctx, func(t *txn, st *accountState) error {
		if on {
			return t.subscribe(st.id, name)
		}
		return t.put(`DELETE FROM subscription WHERE account_id = ? AND name = ?`, st.id, name)
	})
}

func (t *txn) subscribe(id store.AccountID, name string) error {
	return t.put(`INSERT INTO subscription (account_id, name) VALUES (?, ?) ON CONFLICT (account_id, name) DO NOTHING`, id, name)
}

// Subscriptions implements store.Account.
func (a *account) Subscriptions(ctx context.Context) ([]string, error) {
	var names []string
	err := a.s.read(ctx, func(t tx) error {
		if err := a.exists(t); err != nil {
			return err
		}
		names = names[:0]
		return t.query(`SELECT name FROM subscription WHERE account_id = ? ORDER BY name`, []any{a.id}, func(r row) error {
			names = append(names, r.text(0))
			return nil
		})
	})
	return names, err
}
