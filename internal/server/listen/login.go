package listen

import (
	"crypto/sha256"

	"posthorn/internal/state/store"
)

// Credential is a fingerprint of what an account logs in with. It is another
// one after a new password, and the same when a right password's hash is
// renewed: its SCRAM verifier stays then, and is made together with every new
// password. A row without verifier, which only other programs write, is known
// by its hash.
type Credential [16]byte

// CredentialOf returns the fingerprint of an account as it is stored.
func CredentialOf(row store.AccountRow) Credential {
	proof := row.Scram256
	if proof == "" {
		proof = row.Password
	}
	sum := sha256.Sum256([]byte(proof))
	return Credential(sum[:len(Credential{})])
}

// Login is an open session of somebody who has logged in.
type Login struct {
	Account    store.AccountID
	Credential Credential
	t          *ticket
}

// Logins returns the open sessions that have logged in, in no order. With
// fresh it returns those only that no call before has returned: what is stored
// about an account may have changed between the look at it and its login.
// Whoever reads the account after the call, reads nothing older than the
// session did.
func (g *Group) Logins(fresh bool) []Login {
	a := g.admitted
	a.mu.Lock()
	defer a.mu.Unlock()
	if fresh {
		all := make([]Login, 0, a.fresh.Len())
		for a.fresh.Len() > 0 {
			all = append(all, a.fresh.Front().Value.(*ticket).tell())
		}
		return all
	}
	all := make([]Login, 0, len(a.live))
	for t := range a.live {
		if t.account != 0 && !t.gone {
			all = append(all, t.tell())
		}
	}
	return all
}

// tell returns the ticket's login, which is fresh no longer; a.mu is held.
func (t *ticket) tell() Login {
	if t.fresh != nil {
		t.a.fresh.Remove(t.fresh)
		t.fresh = nil
	}
	return Login{t.account, t.credential, t}
}

// End ends a session whose login no longer holds (ErrRevoked); its protocol
// says goodbye. It does nothing to a session that is over, or told already.
func (g *Group) End(l Login) {
	g.admitted.mu.Lock()
	open := l.t.account != 0 && !l.t.gone
	l.t.account = 0 // told already
	g.admitted.mu.Unlock()
	if open {
		l.t.end(ErrRevoked)
	}
}

// Listener is the name of the listener the session came by.
func (l Login) Listener() string { return l.t.name.Name }

// login moves the ticket into the users' share and notes who it is.
func (t *ticket) login(account store.AccountID, credential Credential) {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	if t.gone {
		return
	}
	t.account, t.credential = account, credential
	if t.fresh == nil {
		t.fresh = t.a.fresh.PushBack(t)
	}
	if t.known {
		return
	}
	t.known = true
	if t.pending != nil {
		t.a.pending.Remove(t.pending)
		t.pending = nil
	} else {
		t.a.strangers--
	}
}

// end tells a session to say goodbye: its reads fail, its writes do not.
func (t *ticket) end(cause error) {
	t.cancel(cause)
	t.link.interrupt()
}
