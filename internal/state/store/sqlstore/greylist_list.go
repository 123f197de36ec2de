package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/state/store"
)

// greylistSort is an order of a list: by key, or by a time, newest first, and
// then by key. after goes on behind a cursor.
type greylistSort struct {
	order, after string
	time         func(g store.GreylistRow) time.Time
}

// greylistSorts has each order twice. Searches look at every entry, which is
// quickest in the order entries lie in, so theirs keep the engines from indexes.
var greylistSorts = map[string]struct{ all, search greylistSort }{
	"": byKey, "key": byKey,
	"last": {
		greylistSort{`last DESC, client`, `last <= ? AND (last < ? OR client > ?)`, lastOf},
		greylistSort{`+last DESC, client`, `+last <= ? AND (last < ? OR client > ?)`, lastOf},
	},
	"first": {
		greylistSort{`first DESC, client`, `first <= ? AND (first < ? OR client > ?)`, firstOf},
		greylistSort{`+first DESC, client`, `+first <= ? AND (first < ? OR client > ?)`, firstOf},
	},
}

var byKey = struct{ all, search greylistSort }{
	greylistSort{`client`, `client > ?`, nil},
	greylistSort{`client || ''`, `client || '' > ?`, nil},
}

func lastOf(g store.GreylistRow) time.Time  { return g.Last }
func firstOf(g store.GreylistRow) time.Time { return g.First }

// cursor is what a page says of its last entry: the key, with the time before
// it in orders by time.
func (o greylistSort) cursor(g store.GreylistRow) string {
	if o.time == nil {
		return g.Key
	}
	return strconv.FormatInt(toMicro(o.time(g)), 10) + " " + g.Key
}

// arguments are those of the condition after, from a cursor.
func (o greylistSort) arguments(cursor string) ([]any, error) {
	if o.time == nil {
		return []any{cursor}, nil
	}
	when, key, _ := strings.Cut(cursor, " ")
	at, err := strconv.ParseInt(when, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("cursor %q: %w", cursor, store.ErrInvalid)
	}
	return []any{at, at, key}, nil
}

// List implements store.Greylist.
func (g *greylist) List(ctx context.Context, f store.GreylistFilter) (page store.GreylistPage, err error) {
	sorts, ok := greylistSorts[f.Sort]
	if !ok {
		return page, fmt.Errorf("greylist: sort by %q: %w", f.Sort, store.ErrInvalid)
	}
	sort := sorts.all
	if f.Search != "" {
		sort = sorts.search
	}
	limit := pageOf(f.Limit)
	err = g.s.read(ctx, func(t tx) error {
		where, args, err := sort.conditions(f)
		if err != nil {
			return err
		}
		page = store.GreylistPage{}
		query := `SELECT ` + greylistColumns + ` FROM greylist` + where + ` ORDER BY ` + sort.order + ` LIMIT ?`
		return t.query(query, append(args, limit+1), func(r row) error {
			page.Rows = append(page.Rows, scanGreylist(r))
			return nil
		})
	})
	if err != nil {
		return store.GreylistPage{}, fmt.Errorf("greylist: %w", err)
	}
	if len(page.Rows) > limit {
		page.Rows = page.Rows[:limit]
		page.Next = sort.cursor(page.Rows[limit-1])
	}
	return page, nil
}

// conditions are what a filter selects by. Few texts come of it, so each can be
// prepared once.
func (o greylistSort) conditions(f store.GreylistFilter) (where string, args []any, err error) {
	var all []string
	if f.After != "" {
		if args, err = o.arguments(f.After); err != nil {
			return "", nil, err
		}
		all = append(all, o.after)
	}
	if f.Confirmed != nil && *f.Confirmed {
		all = append(all, `+confirmed > 0`)
	} else if f.Confirmed != nil {
		all = append(all, `+confirmed = 0`)
	}
	if f.Search != "" {
		p := containing(f.Search)
		args = append(args, p, p, p, p)
		all = append(all, `(client LIKE ? ESCAPE '!' OR LOWER(sender) LIKE ? ESCAPE '!'
			OR LOWER(recipient) LIKE ? ESCAPE '!' OR LOWER(helo) LIKE ? ESCAPE '!')`)
	}
	if len(all) > 0 {
		where = ` WHERE ` + strings.Join(all, ` AND `)
	}
	return where, args, nil
}
