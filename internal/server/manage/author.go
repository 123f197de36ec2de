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

type httpKey struct{}

// WithHTTP says that the request came over the API, where nobody sits and looks
// at the difference before it is applied.
func WithHTTP(ctx context.Context) context.Context { return context.WithValue(ctx, httpKey{}, true) }

func overHTTP(ctx context.Context) bool { return ctx.Value(httpKey{}) != nil }
