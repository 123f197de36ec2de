package imapd

import (
	"context"
	"strings"

	"posthorn/internal/wire/imap"
)

// runLsub is LSUB. A name that only has subscribed names below it is shown,
// as \Noselect, where the pattern stops at its level (RFC 3501 §6.3.9).
func runLsub(ctx context.Context, c *conn, _ imap.Command) imap.Response {
	arg, err := c.dec.Lsub()
	if err != nil {
		return failed(err)
	}
	all, err := c.folders(ctx)
	if err != nil {
		return failed(err)
	}
	l := lister{patterns: patterns(arg), left: c.set.SearchTime}
	levels := strings.HasSuffix(arg.Patterns[0], "%")
	for i := range all {
		f := &all[i]
		matches := l.matches(f.name)
		if err := l.over(ctx); err != nil {
			return failed(err)
		}
		switch {
		case !matches:
		case f.subscribed:
			c.listLine("LSUB", nil, f.name, nil)
		case f.below && levels:
			c.listLine("LSUB", []string{`\Noselect`}, f.name, nil)
		}
	}
	return completed("LSUB")
}
