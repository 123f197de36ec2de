package manage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/state/access"
	"posthorn/internal/state/store"
)

// AccessFile is the rules as one text file.
type AccessFile struct {
	Version int64  `json:"version" doc:"Give it as base when the file replaces all rules"`
	File    string `json:"file"`
}

// versionLine begins the line of an exported file that has its version.
const versionLine = "# version "

// AccessFileVersion returns the version a file was exported at, nil when it does
// not say.
func AccessFileVersion(file string) *int64 {
	for line := range strings.Lines(file) {
		text, ok := strings.CutPrefix(line, versionLine)
		if !ok {
			continue
		}
		if v, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil {
			return &v
		}
	}
	return nil
}

// AccessImported is what an import did, or would do.
type AccessImported struct {
	Added     int      `json:"added"`
	Changed   int      `json:"changed" doc:"Rules of the same name that were not the same"`
	Unchanged int      `json:"unchanged"`
	Removed   int      `json:"removed" doc:"With replace: rules that the file does not name"`
	Warnings  []string `json:"warnings"`
}

// AccessImportInput is the input of list-import.
type AccessImportInput struct {
	Body struct {
		File    string `json:"file" doc:"One rule in a line: allow or block, the kind, the value, then if need be name=, owner=, reason=, expires=, discard, from-field, authenticated, no-authenticated, disabled" example:"block network 192.0.2.0/24 reason=\"open relay\""`
		Replace bool   `json:"replace,omitempty" doc:"The file is the whole truth: rules that it does not name are removed; base is needed, too"`
		Base    *int64 `json:"base,omitempty" doc:"Version the file was made from (of list-export); when the rules have another, nothing is changed (409)"`
		DryRun  bool   `json:"dry_run,omitempty" doc:"Only say what would be done"`
		Author  string `json:"author,omitempty" doc:"Who makes the rules; over the API it is who asks"`
	}
}

// everyRule reads all rules, in force or not, by name.
func (s *Service) everyRule(ctx context.Context) (all []store.AccessRow, err error) {
	const page = 1000
	for after := ""; ; {
		rows, err := s.o.Store.Access().List(ctx, store.AccessFilter{After: after, Limit: page})
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
		if len(rows) < page {
			return all, nil
		}
		after = rows[len(rows)-1].Name
	}
}

func (s *Service) exportAccess(ctx context.Context, _ *None) (AccessFile, error) {
	version, err := s.o.Store.Access().Version(ctx) // first, so that it is never newer than the rules
	if err != nil {
		return AccessFile{}, err
	}
	rows, err := s.everyRule(ctx)
	if err != nil {
		return AccessFile{}, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %d rules of the allow and block lists of %s. Take them back with: posthorn list import FILE\n%s%d\n", len(rows), s.hostname(), versionLine, version)
	access.WriteFile(&b, rows)
	return AccessFile{version, b.String()}, nil
}

func (s *Service) hostname() string {
	if s.o.Hostname == nil {
		return "this server"
	}
	return s.o.Hostname()
}

func (s *Service) importAccess(ctx context.Context, in *AccessImportInput) (AccessImported, error) {
	b := in.Body
	if b.Replace && b.Base == nil && !b.DryRun && overHTTP(ctx) {
		return AccessImported{}, needsBase("GET /lists-file")
	}
	rows, err := access.ReadFile(b.File, s.accessSettings().RequireAuthentication)
	if err != nil {
		return AccessImported{}, inField("file", err)
	}
	if len(rows) == 0 {
		return AccessImported{}, inField("file", errors.New("there is no rule in it; a line is such as: block ip 192.0.2.1"))
	}
	have, err := s.everyRule(ctx)
	if err != nil {
		return AccessImported{}, err
	}
	if err := s.accessUnchanged(ctx, b.Base); err != nil { // after the reading: what comes later is not removed
		return AccessImported{}, err
	}
	change, out := merge(have, rows, b.Replace, cmp.Or(author(ctx, b.Author), nobody))
	if total := len(have) + out.Added - out.Removed; total > access.Most && out.Added > 0 {
		return AccessImported{}, inField("file", fmt.Errorf("there would be %d rules; at most %d", total, access.Most))
	}
	out.Warnings = warnings(have, change)
	if b.DryRun || out.Added+out.Changed+out.Removed == 0 {
		return out, nil
	}
	return out, s.o.Store.Access().Apply(ctx, change)
}

func (s *Service) accessUnchanged(ctx context.Context, base *int64) error {
	if base == nil {
		return nil
	}
	now, err := s.o.Store.Access().Version(ctx)
	if err == nil && now != *base {
		err = changedSince(now, *base)
	}
	return err
}

// needsBase refuses a list that replaces all rules and does not say what it was
// made from.
func needsBase(where string) error {
	return inField("base", fmt.Errorf("a list that replaces all rules needs the version it was made from, or it might remove what somebody else has just added; take version of %s", where))
}

// changedSince refuses a list that was made from other rules than there are.
func changedSince(now, base any) error {
	return said{fmt.Sprintf("the rules are at version %v, the list was made from %v; export them again, or take the version out of the file to have it as it stands", now, base), store.ErrConflict}
}

// merge compares what is there with what a file says.
func merge(have, file []store.AccessRow, replace bool, who string) (c store.AccessChange, out AccessImported) {
	known := make(map[string]store.AccessRow, len(have))
	for _, r := range have {
		known[strings.ToLower(r.Name)] = r
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	for _, r := range file {
		old, ok := known[strings.ToLower(r.Name)]
		delete(known, strings.ToLower(r.Name))
		if !ok {
			r.Author, r.Created = who, now
			c.Add = append(c.Add, r)
			continue
		}
		r.ID, r.Version, r.Author, r.Created, r.Hits, r.LastHit = old.ID, old.Version, old.Author, old.Created, old.Hits, old.LastHit
		if reflect.DeepEqual(r, old) {
			out.Unchanged++
			continue
		}
		c.Set = append(c.Set, r)
	}
	if replace {
		for _, r := range have {
			if _, left := known[strings.ToLower(r.Name)]; left {
				c.Remove = append(c.Remove, r.ID)
			}
		}
	}
	out.Added, out.Changed, out.Removed = len(c.Add), len(c.Set), len(c.Remove)
	return c, out
}

const (
	// maxWarnings is how many warnings an import tells.
	maxWarnings = 50
	// maxCompared bounds the search for conflicts, to about a second.
	maxCompared = 20_000_000
)

// warnings looks at every rule that is new or another, among all there will be.
func warnings(have []store.AccessRow, c store.AccessChange) []string {
	changed := append(append([]store.AccessRow{}, c.Add...), c.Set...)
	gone := map[int64]bool{}
	for _, r := range c.Set {
		gone[r.ID] = true
	}
	for _, id := range c.Remove {
		gone[id] = true
	}
	var rules []*access.Rule
	for _, row := range changed {
		if r, err := access.New(row); err == nil { // ReadFile has checked it
			rules = append(rules, r)
		}
	}
	fresh := len(rules)
	for _, row := range have {
		if r, err := access.New(row); err == nil && !gone[row.ID] {
			rules = append(rules, r)
		}
	}
	table, all, now := access.NewTable(rules), []string{}, time.Now()
	for i, r := range rules[:fresh] {
		if len(all) >= maxWarnings || i*len(rules) > maxCompared {
			return append(all, fmt.Sprintf("%d more rules were not looked at for warnings.", fresh-i))
		}
		if r.Disabled {
			continue
		}
		for _, text := range table.Warnings(r, now) {
			all = append(all, r.Name+": "+text)
		}
	}
	return all
}
