package manage

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Role is what somebody may do. Each role may do what the ones before it may.
type Role string

// The roles. A program that watches gets Reader, one that looks after the
// queue Operator; who changes what the server is, is an Administrator.
const (
	Reader        Role = "reader"
	Operator      Role = "operator"
	Administrator Role = "administrator"
)

// Short names for the column of declarations.
const (
	reader        = Reader
	operator      = Operator
	administrator = Administrator
)

// Roles lists the roles, the one that may do least first.
func Roles() []Role { return []Role{Reader, Operator, Administrator} }

// Covers reports whether r may do what least may. A role that does not exist
// covers nothing and is covered by nobody.
func (r Role) Covers(least Role) bool {
	all := Roles()
	have, need := slices.Index(all, r), slices.Index(all, least)
	return need >= 0 && have >= need
}

// ParseRole reads a role's name.
func ParseRole(text string) (Role, error) {
	if r := Role(text); slices.Contains(Roles(), r) {
		return r, nil
	}
	names := make([]string, 0, 3)
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return "", fmt.Errorf("%q is no role; take one of %s", text, strings.Join(names, ", "))
}

type roleKey struct{}

// WithRole says what whoever asks under the context may do. Without it they may
// do nothing.
func WithRole(ctx context.Context, r Role) context.Context {
	return context.WithValue(ctx, roleKey{}, r)
}

// allowed returns an error that wraps ErrForbidden when whoever asks may not do
// what needs the role.
func allowed(ctx context.Context, what string, least Role) error {
	have, _ := ctx.Value(roleKey{}).(Role)
	if have.Covers(least) {
		return nil
	}
	if have == "" {
		have = "none"
	}
	return said{fmt.Sprintf("%s needs the role %s, you have %s; ask an administrator for a token with that role (posthorn token add)", what, least, have), ErrForbidden}
}

// RoleOf returns what whoever asks under the context may do.
func RoleOf(ctx context.Context) (Role, bool) {
	r, ok := ctx.Value(roleKey{}).(Role)
	return r, ok
}
