package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/server/listen"
	"posthorn/internal/state/store"
)

// loginsEvery is how often the directory is asked whether it changed, so that
// a new password ends the sessions of the old one within that time and a bit.
const loginsEvery = time.Second

// logins ends sessions whose account is no longer what logged in: disabled,
// removed, or with another password. It reads accounts that have sessions open,
// once for all their sessions, when the directory has changed; and those that
// logged in since the last look, for the directory may have changed in between.
type logins struct {
	group   *listen.Group
	people  store.Directory
	log     *event.Logger
	version int64 // of the directory when all were looked at, -1 for never
}

// run looks until ctx ends.
func (l *logins) run(ctx context.Context) {
	tick := time.NewTicker(loginsEvery)
	defer tick.Stop()
	for {
		if err := l.look(ctx); err != nil && ctx.Err() == nil {
			l.log.Log(event.StoreFailed, event.Err(err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look ends what is to end. After an error the next look is at everybody.
func (l *logins) look(ctx context.Context) error {
	version, err := l.people.Version(ctx)
	if err == nil {
		err = l.judge(ctx, l.group.Logins(version == l.version))
	}
	if l.version = version; err != nil {
		l.version = -1
	}
	return err
}

// judge reads each account once and ends the sessions that it disowns.
func (l *logins) judge(ctx context.Context, open []listen.Login) error {
	known := map[store.AccountID]standing{}
	for _, login := range open {
		s, ok := known[login.Account]
		if !ok {
			var err error
			if s, err = l.standing(ctx, login.Account); err != nil {
				return err
			}
			known[login.Account] = s
		}
		if why := s.against(login); why != "" {
			l.group.End(login)
			l.log.Log(event.SessionRevoked, slog.Int64("account", int64(login.Account)), slog.String("listener", login.Listener()), slog.String("reason", why))
		}
	}
	return nil
}

// standing is what an account is now.
type standing struct {
	credential listen.Credential
	gone       string // why nobody may be logged in, "" for none
}

func (l *logins) standing(ctx context.Context, id store.AccountID) (standing, error) {
	row, err := l.people.GetAccount(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return standing{gone: "the account was removed"}, nil
	case err != nil:
		return standing{}, err
	case row.Disabled:
		return standing{gone: "the account is disabled"}, nil
	}
	return standing{credential: listen.CredentialOf(row)}, nil
}

// against says why a session ends, "" if it goes on.
func (s standing) against(l listen.Login) string {
	if s.gone == "" && s.credential != l.Credential {
		return "the password is another"
	}
	return s.gone
}
