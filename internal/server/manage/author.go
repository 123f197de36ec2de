package manage

import (
	"cmp"
	"context"
)

type authorKey struct{}

// WithAuthor says who asks for what is called under the context, for the record
// of changes (M-GEN-13). It counts more than the name an input gives: whoever
// came through a login cannot leave another's name behind.
func WithAuthor(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, authorKey{}, name)
}

// author returns who asks: who logged in, else who the input says.
func author(ctx context.Context, claimed string) string {
	name, _ := ctx.Value(authorKey{}).(string)
	return cmp.Or(name, claimed)
}
