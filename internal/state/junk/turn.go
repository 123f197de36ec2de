package junk

import (
	"errors"
	"slices"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// turn is one transaction of the writer.
type turn struct {
	f        *Filter
	conn     *sqlite.Conn
	settings Settings
	day      uint16
	pupils   map[Account]*pupil
	gone     []Account // forgotten
	octets   int64     // of all models
}

// pupil is an account that learns in this turn.
type pupil struct {
	model  *model
	delta  []entry
	before int64 // octets
}

func (t *turn) run(list []*request) error {
	return within(t.conn, "BEGIN IMMEDIATE", func() error {
		for _, r := range list {
			if err := t.do(r); err != nil {
				return err
			}
		}
		if err := t.store(); err != nil {
			return err
		}
		return t.shrink()
	})
}

// models returns what is to be published after the commit.
func (t *turn) models() map[Account]*model {
	models := make(map[Account]*model, len(t.pupils))
	for a, p := range t.pupils {
		models[a] = p.model
	}
	return models
}

func (t *turn) exec(sql string, args ...any) error {
	return sqlitex.Execute(t.conn, sql, &sqlitex.ExecOptions{Args: args})
}

func (t *turn) do(r *request) error {
	for i := range r.lessons {
		if err := t.learn(&r.lessons[i]); err != nil {
			return err
		}
	}
	if r.forget > everybody {
		return t.remove(r.forget)
	}
	return nil
}

// pupil returns the account's model, ready to be changed.
func (t *turn) pupil(a Account) (*pupil, error) {
	if p := t.pupils[a]; p != nil {
		return p, nil
	}
	m, _ := t.f.cache.get(a)
	if slices.Contains(t.gone, a) {
		m = &model{}
	}
	if m == nil {
		var err error
		if m, err = load(t.conn, a); err != nil {
			return nil, err
		}
	}
	p := &pupil{model: m.clone(), before: m.octets()}
	t.pupils[a] = p
	return p, nil
}

// learn does one lesson.
func (t *turn) learn(l *Lesson) error {
	key := int64(t.f.sum([]byte(l.Key)))
	class, given := Unlearned, false
	err := sqlitex.Execute(t.conn, "SELECT class, given FROM learned WHERE account = ? AND key = ?", &sqlitex.ExecOptions{
		Args: []any{int64(l.Account), key},
		ResultFunc: func(s *sqlite.Stmt) error {
			class, given = Class(s.ColumnInt(0)), s.ColumnBool(1)
			return nil
		}})
	if err != nil || class == l.Class {
		return err
	}
	p, err := t.pupil(l.Account)
	if err != nil {
		return err
	}
	all, err := t.pupil(everybody)
	if err != nil {
		return err
	}
	if class != Unlearned {
		p.take(l.Tokens, class, -1, given, t.day)
		if given {
			all.take(l.Tokens, class, -1, false, t.day)
		}
		p.model.remembered--
	}
	if l.Class == Unlearned {
		return t.exec("DELETE FROM learned WHERE account = ? AND key = ?", int64(l.Account), key)
	}
	given = t.settings.Shared && mayGive(p.model, all.model, l.Class)
	p.take(l.Tokens, l.Class, 1, given, t.day)
	if given {
		all.take(l.Tokens, l.Class, 1, false, t.day)
	}
	p.model.remembered++
	return t.exec("INSERT OR REPLACE INTO learned (account, key, class, given) VALUES (?, ?, ?, ?)", int64(l.Account), key, int64(l.Class), given)
}

// mayGive reports whether everybody learns the message too.
func mayGive(own, all *model, c Class) bool {
	if c == Spam {
		return own.givenSpam < max(freelyGiven, all.spam/4)
	}
	return own.givenHam < max(freelyGiven, all.ham/4)
}

func (p *pupil) take(tokens *Tokens, c Class, n int, given bool, day uint16) {
	p.model.count(c, n, given)
	for i := range tokens.list {
		e := entry{hash: tokens.list[i].hash, day: day}
		if c == Spam {
			e.spam = n
		} else {
			e.ham = n
		}
		p.delta = append(p.delta, e)
	}
}

// store writes what changed.
func (t *turn) store() error {
	for a, p := range t.pupils {
		most := t.settings.MaxTokens
		if a == everybody {
			most = max(most, maxEverybody)
		}
		for _, level := range p.model.push(makeRun(p.delta), t.day, most) {
			if err := t.level(a, level, p.model.levels[level]); err != nil {
				return err
			}
		}
		if err := t.forgetOldest(a, p.model); err != nil {
			return err
		}
		if err := t.account(a, p); err != nil {
			return err
		}
	}
	return nil
}

func (t *turn) level(a Account, level int, r run) error {
	if len(r) == 0 {
		return t.exec("DELETE FROM run WHERE account = ? AND level = ?", int64(a), level)
	}
	return t.exec("INSERT OR REPLACE INTO run (account, level, data) VALUES (?, ?, ?)", int64(a), level, []byte(r))
}

func (t *turn) account(a Account, p *pupil) error {
	m := p.model
	t.octets += m.octets() - p.before
	if m.empty() {
		return t.exec("DELETE FROM account WHERE id = ?", int64(a))
	}
	return t.exec("INSERT OR REPLACE INTO account (id, spam, ham, given_spam, given_ham, remembered, octets, day) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		int64(a), m.spam, m.ham, m.givenSpam, m.givenHam, m.remembered, m.octets(), int(t.day))
}

// forgetOldest drops keys, some at a time.
func (t *turn) forgetOldest(a Account, m *model) error {
	if m.remembered <= maxRemembered+maxRemembered/8 {
		return nil
	}
	err := t.exec("DELETE FROM learned WHERE account = ?1 AND n <= (SELECT n FROM learned WHERE account = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2)", int64(a), maxRemembered)
	m.remembered = maxRemembered
	return err
}

// remove forgets an account.
func (t *turn) remove(a Account) error {
	p, err := t.pupil(a)
	if err != nil {
		return err
	}
	delete(t.pupils, a)
	t.octets -= p.before
	t.gone = append(t.gone, a)
	return errors.Join(
		t.exec("DELETE FROM run WHERE account = ?", int64(a)),
		t.exec("DELETE FROM learned WHERE account = ?", int64(a)),
		t.exec("DELETE FROM account WHERE id = ?", int64(a)))
}

// shrink forgets the accounts that learned longest ago until what is left fits
// with some room to spare.
func (t *turn) shrink() error {
	limit := int64(t.settings.MaxSize)
	if t.octets <= limit {
		return nil
	}
	excess := t.octets - limit/10*9
	var list []Account
	err := sqlitex.Execute(t.conn, "SELECT id, octets FROM account WHERE id > 0 ORDER BY day, id", &sqlitex.ExecOptions{
		ResultFunc: func(s *sqlite.Stmt) error {
			if excess > 0 {
				list = append(list, Account(s.ColumnInt64(0)))
				excess -= s.ColumnInt64(1)
			}
			return nil
		}})
	if err != nil {
		return err
	}
	for _, a := range list {
		octets := int64(0)
		if p := t.pupils[a]; p != nil {
			octets = p.model.octets() - p.before
		}
		t.octets -= octets
		if err := t.remove(a); err != nil {
			return err
		}
	}
	return nil
}
