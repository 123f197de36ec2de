package manage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"posthorn/internal/state/access"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// AccessRule is a rule of the allow and block lists (M-SEC-BW).
type AccessRule struct {
	Name          string     `json:"name"`
	List          string     `json:"list" enum:"allow,block" doc:"Where both lists match, the allow rule wins"`
	Kind          string     `json:"kind" enum:"ip,network,sender,recipient,domain" doc:"What it looks at; domain is for allow rules only"`
	Value         string     `json:"value" doc:"An address, a network, a mail address, or a domain (.example.org: those below it)"`
	Discard       bool       `json:"discard" doc:"Block rules: answer as if the mail were accepted, and throw it away"`
	FromField     bool       `json:"from_field" doc:"Rules by sender: look at the From field as well"`
	Authenticated bool       `json:"authenticated" doc:"Allow rules by sender or domain: count only when SPF or DKIM proves the sender's domain"`
	Disabled      bool       `json:"disabled"`
	Owner         string     `json:"owner" doc:"Who answers for it"`
	Reason        string     `json:"reason" doc:"Why it is there"`
	Author        string     `json:"author" doc:"Who made it"`
	Created       time.Time  `json:"created"`
	Expires       *time.Time `json:"expires,omitempty" doc:"When it ends; absent: never"`
	State         string     `json:"state" enum:"in force,disabled,expired"`
	Hits          int64      `json:"hits" doc:"How often it took part in a decision; up to ten seconds old"`
	LastHit       *time.Time `json:"last_hit,omitempty"`
	Version       int64      `json:"version" doc:"Give it with a change, so that nobody else's change in between is overwritten"`
}

// AccessSaved is a rule as it was saved, and what may surprise about it.
type AccessSaved struct {
	Rule     AccessRule `json:"rule"`
	Warnings []string   `json:"warnings"`
}

// The inputs of the operations on rules.
type (
	// NewAccessRule is a rule to add.
	NewAccessRule struct {
		Name string `json:"name,omitempty" doc:"What it is called; without it like its value" example:"partner"`
		List string `json:"list" enum:"allow,block"`
		Kind string `json:"kind" enum:"ip,network,sender,recipient,domain"`
		AccessChange
		Author string `json:"author,omitempty" doc:"Who makes it; over the API it is who asks"`
	}
	// AccessChange sets the fields that are given.
	AccessChange struct {
		Value         *string    `json:"value,omitempty" doc:"An address, a network, a mail address, or a domain (.example.org: those below it)" example:"192.0.2.0/24"`
		Discard       *bool      `json:"discard,omitempty" doc:"Block rules: answer as if the mail were accepted, and throw it away"`
		FromField     *bool      `json:"from_field,omitempty" doc:"Rules by sender: look at the From field as well"`
		Authenticated *bool      `json:"authenticated,omitempty" doc:"Allow rules by sender or domain: count only when the sender's domain is authenticated; new ones as the setting access.require_authentication says"`
		Disabled      *bool      `json:"disabled,omitempty"`
		Owner         *string    `json:"owner,omitempty" doc:"Who answers for it"`
		Reason        *string    `json:"reason,omitempty" doc:"Why it is there"`
		Expires       *time.Time `json:"expires,omitempty" doc:"When it ends (RFC 3339)"`
		Forever       bool       `json:"forever,omitempty" doc:"It does not end"`
	}
	AccessAddInput struct{ Body NewAccessRule }
	AccessSetInput struct {
		Name string `json:"name" path:"name"`
		Body struct {
			AccessChange
			Version *int64 `json:"version,omitempty" doc:"Version the change was made from; when it is another by now, nothing is changed (409)"`
		}
	}
	AccessInput struct {
		Name string `json:"name" path:"name"`
	}
	AccessListInput struct {
		List   string `json:"list" query:"list" enum:",allow,block" doc:"Only this list"`
		Kind   string `json:"kind" query:"kind" enum:",ip,network,sender,recipient,domain" doc:"Only rules of this kind"`
		Search string `json:"search" query:"search" doc:"Part of name, value, owner or reason"`
		Paging
	}
)

func accessOperations() []Operation {
	return []Operation{
		declare("list-list", get, "/lists", reader, "List the rules of the allow and block lists by name", (*Service).accessRules),
		declare("list-add", post, "/lists", administrator, "Add a rule to the allow or block list", (*Service).addAccess),
		declare("list-show", get, "/lists/{name}", reader, "Show a rule", (*Service).accessRule),
		declare("list-set", patch, "/lists/{name}", administrator, "Change a rule", (*Service).setAccess),
		declare("list-remove", remove, "/lists/{name}", administrator, "Remove a rule", (*Service).removeAccess),
		declare("list-export", get, "/lists-file", reader, "All rules as a text file, one in a line", (*Service).exportAccess),
		declare("list-import", post, "/lists-file", administrator, "Add the rules of a text file, all or none", (*Service).importAccess),
		question("list-try", "/lists-try", reader, "Which rules match a mail, and what do they do?", (*Service).tryAccess),
	}
}

func accessView(r store.AccessRow) AccessRule {
	v := AccessRule{Name: r.Name, List: "allow", Kind: r.Kind, Value: r.Value, Discard: r.Discard, FromField: r.FromField, Authenticated: r.Authenticated,
		Disabled: r.Disabled, Owner: r.Owner, Reason: r.Reason, Author: r.Author, Created: r.Created, Hits: r.Hits, Version: r.Version,
		Expires: given(r.Expires), LastHit: given(r.LastHit)}
	if r.Block {
		v.List = "block"
	}
	v.State = cmp.Or((&access.Rule{AccessRow: r}).Ended(time.Now()), "in force")
	return v
}

// given is a time that may be none.
func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// onList reads the name of a list.
func onList(name string) (block bool, err error) {
	if name != "allow" && name != "block" {
		return false, inField("list", fmt.Errorf("%q is no list; take allow or block", name))
	}
	return name == "block", nil
}

// apply puts the given fields into the row.
func (c AccessChange) apply(r *store.AccessRow) error {
	set(&r.Value, c.Value)
	set(&r.Discard, c.Discard)
	set(&r.FromField, c.FromField)
	set(&r.Authenticated, c.Authenticated)
	set(&r.Disabled, c.Disabled)
	set(&r.Owner, c.Owner)
	set(&r.Reason, c.Reason)
	switch {
	case c.Expires != nil && c.Forever:
		return inField("forever", errors.New("a rule that ends cannot stay for ever; give one of expires and forever"))
	case c.Forever:
		r.Expires = time.Time{}
	case c.Expires != nil:
		if r.Expires = c.Expires.UTC().Truncate(time.Microsecond); !r.Expires.After(time.Now()) {
			return inField("expires", fmt.Errorf("%s is over; name a time to come", r.Expires.Format(time.RFC3339)))
		}
	}
	return nil
}

// set takes a value over that is given.
func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// rule checks a row; faults name the field of the input.
func rule(row store.AccessRow) (*access.Rule, error) {
	r, err := access.New(row)
	if fault := (*access.Error)(nil); errors.As(err, &fault) {
		return nil, inField(fault.Field, errors.New(fault.Text))
	}
	return r, err
}

// accessSettings are those in force.
func (s *Service) accessSettings() access.Settings {
	if s.o.Access == nil {
		return setting.Defaults[access.Settings](setting.Recommended)
	}
	return *s.o.Access()
}

func (s *Service) accessRules(ctx context.Context, in *AccessListInput) (Page[AccessRule], error) {
	f := store.AccessFilter{Kind: in.Kind, Search: in.Search, After: in.After, Limit: in.limit()}
	p := Page[AccessRule]{Items: []AccessRule{}}
	if in.List != "" {
		block, err := onList(in.List)
		if err != nil {
			return p, err
		}
		f.Block = &block
	}
	rows, err := s.o.Store.Access().List(ctx, f)
	for _, r := range rows {
		p.Items = append(p.Items, accessView(r))
	}
	if len(rows) == f.Limit {
		p.Next = rows[len(rows)-1].Name
	}
	return p, err
}

func (s *Service) accessRule(ctx context.Context, in *AccessInput) (AccessRule, error) {
	r, err := s.o.Store.Access().Get(ctx, in.Name)
	return accessView(r), err
}

func (s *Service) addAccess(ctx context.Context, in *AccessAddInput) (AccessSaved, error) {
	r, err := s.newRule(ctx, in.Body)
	if err != nil {
		return AccessSaved{}, err
	}
	table, err := access.Load(ctx, s.o.Store.Access(), time.Now())
	if err != nil {
		return AccessSaved{}, err
	}
	if table.Len() >= access.Most {
		return AccessSaved{}, said{fmt.Sprintf("there are %d rules already, as many as can be; remove some, or write networks instead of addresses", table.Len()), store.ErrLimit}
	}
	switch _, err := s.o.Store.Access().Add(ctx, r.AccessRow); {
	case errors.Is(err, store.ErrExists):
		return AccessSaved{}, said{fmt.Sprintf("there is a rule called %s already; change it (posthorn list set), or give this one another name", r.Name), err}
	case err != nil:
		return AccessSaved{}, err
	}
	return s.savedRule(ctx, table, r)
}

// newRule makes a rule of a wish.
func (s *Service) newRule(ctx context.Context, b NewAccessRule) (*access.Rule, error) {
	block, err := onList(b.List)
	if err != nil {
		return nil, err
	}
	row := store.AccessRow{Name: b.Name, Block: block, Kind: b.Kind, Author: cmp.Or(author(ctx, b.Author), nobody), Created: time.Now().UTC().Truncate(time.Microsecond)}
	if (&access.Rule{AccessRow: row, Kind: access.Kind(b.Kind)}).Forgeable() {
		row.Authenticated = s.accessSettings().RequireAuthentication
	}
	if err := b.apply(&row); err != nil {
		return nil, err
	}
	if row.Name == "" {
		parsed, err := access.Parse(access.Kind(row.Kind), row.Value)
		if fault := (*access.Error)(nil); errors.As(err, &fault) {
			return nil, inField(fault.Field, errors.New(fault.Text))
		}
		row.Name = parsed.Value
	}
	return rule(row)
}

// savedRule answers with the rule as it is stored.
func (s *Service) savedRule(ctx context.Context, t *access.Table, r *access.Rule) (AccessSaved, error) {
	row, err := s.o.Store.Access().Get(ctx, r.Name)
	out := AccessSaved{Rule: accessView(row), Warnings: []string{}}
	if !r.Disabled {
		out.Warnings = append(out.Warnings, t.Warnings(r, time.Now())...)
	}
	return out, err
}

func (s *Service) setAccess(ctx context.Context, in *AccessSetInput) (AccessSaved, error) {
	if in.Body.AccessChange == (AccessChange{}) {
		return AccessSaved{}, ErrNothing
	}
	row, err := s.o.Store.Access().Get(ctx, in.Name)
	if err != nil {
		return AccessSaved{}, err
	}
	if v := in.Body.Version; v != nil && *v != row.Version {
		return AccessSaved{}, said{fmt.Sprintf("the rule is at version %d, the change was made from %d; look again", row.Version, *v), store.ErrConflict}
	}
	if err := in.Body.apply(&row); err != nil {
		return AccessSaved{}, err
	}
	r, err := rule(row)
	if err != nil {
		return AccessSaved{}, err
	}
	if err := s.o.Store.Access().Set(ctx, r.AccessRow); err != nil {
		return AccessSaved{}, err
	}
	table, err := access.Load(ctx, s.o.Store.Access(), time.Now())
	if err != nil {
		return AccessSaved{}, err
	}
	return s.savedRule(ctx, table, r)
}

func (s *Service) removeAccess(ctx context.Context, in *AccessInput) (None, error) {
	r, err := s.o.Store.Access().Get(ctx, in.Name)
	if err != nil {
		return None{}, err
	}
	return None{}, s.o.Store.Access().Remove(ctx, r.ID)
}
