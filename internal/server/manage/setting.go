package manage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// SettingChange is a wanted change of settings, all or nothing.
type SettingChange struct {
	Set   map[string]string `json:"set,omitempty" doc:"New values in text form by name (schema Settings)"`
	Unset []string          `json:"unset,omitempty" doc:"Names that return to their default"`
	SettingSaving
}

// SettingSaving is how a change of settings is saved.
type SettingSaving struct {
	Comment string `json:"comment,omitempty"`
	Trial   string `json:"trial,omitempty" doc:"Time such as 5m after which the change returns by itself unless confirmed" example:"5m"`
	Base    *int64 `json:"base,omitempty" doc:"Version the change was made from (of setting-list or setting-export); when another is in force, nothing is changed (409)"`
	Author  string `json:"author,omitempty" doc:"Who wants it"`
	DryRun  bool   `json:"dry_run,omitempty" doc:"Only show what would change"`
}

// SettingsNow are the settings in force.
type SettingsNow struct {
	Version int64          `json:"version" doc:"Give it as base of a change, so that nobody else's change in between is overwritten"`
	Items   []setting.Info `json:"items"`
}

// SettingOutcome is what a change did, or would do.
type SettingOutcome struct {
	Version     int64                `json:"version" doc:"Version now in force; 0 after a dry run"`
	Differences []setting.Difference `json:"differences"`
	ConfirmBy   *time.Time           `json:"confirm_by,omitempty" doc:"The change returns by itself unless confirmed before"`
	Warnings    []string             `json:"warnings,omitempty" doc:"What is allowed and may still be a mistake"`
}

// The inputs of the settings operations.
type (
	SettingInput struct {
		Name string `json:"name" path:"name"`
	}
	SettingListInput struct {
		Match string `json:"match" query:"match" doc:"Part of the name or of the documentation"`
	}
	SettingChangeInput struct{ Body SettingChange }
	SettingFileInput   struct {
		Body struct {
			File    string `json:"file" doc:"A settings file as export writes it"`
			Replace bool   `json:"replace,omitempty" doc:"The file is the whole truth: what it does not name returns to its default"`
			SettingSaving
		}
	}
	SettingExportInput struct {
		Secrets bool `json:"secrets" query:"secrets" doc:"Include secrets, sealed with this server's key"`
	}
	SettingHistoryInput struct {
		Paging
	}
	SettingVersionInput struct {
		Version int64  `json:"version" path:"version"`
		Author  string `json:"author" query:"author"`
	}
)

const (
	// nobody is the author of a change that names none.
	nobody = "API"
	// controlAuthor is who asks over the control socket, in the log.
	controlAuthor = "command line"
)

// SettingFile is the settings as one text file.
type SettingFile struct {
	Version int64  `json:"version" doc:"Give it as base when the file is applied"`
	File    string `json:"file"`
}

func settingOperations() []Operation {
	return []Operation{
		declare("setting-list", get, "/settings", reader, "List settings with their values", (*Service).settings),
		declare("setting-explain", get, "/settings/{name}", reader, "Explain a setting: value, where it comes from, range, meaning", (*Service).explain),
		declare("setting-change", patch, "/settings", administrator, "Change settings, all or nothing", (*Service).changeSettings),
		declare("setting-export", get, "/settings-file", reader, "All settings as one text file", (*Service).exportSettings),
		declare("setting-apply", post, "/settings-file", administrator, "Apply a settings file", (*Service).applySettings),
		declare("setting-history", get, "/settings-history", reader, "Changes, newest first", (*Service).settingHistory),
		declare("setting-undo", post, "/settings-history/{version}/undo", administrator, "Take a change back", (*Service).undoSettings),
		declare("setting-confirm", post, "/settings-history/{version}/confirm", administrator, "Keep a change that is on trial", (*Service).confirmSettings),
	}
}

func (s *Service) settings(_ context.Context, in *SettingListInput) (SettingsNow, error) {
	// The version first: whatever changes meanwhile is refused as a conflict, not overwritten.
	found := SettingsNow{Version: s.o.Settings.Registry().Version(), Items: []setting.Info{}}
	for _, i := range s.o.Settings.List() {
		if matches(i, in.Match) {
			found.Items = append(found.Items, i)
		}
	}
	return found, nil
}

func (s *Service) explain(ctx context.Context, in *SettingInput) (setting.Info, error) {
	return s.o.Settings.Explain(ctx, in.Name)
}

func (c SettingChange) edit(ctx context.Context, now int64) (setting.Edit, error) {
	e := setting.Edit{Set: c.Set, Unset: c.Unset}
	for _, name := range c.Unset {
		if _, both := c.Set[name]; both {
			return e, inField("unset", fmt.Errorf("%s is in set, too; give it a value or return it to its default", name))
		}
	}
	err := c.complete(ctx, &e, now)
	return e, err
}

// complete fills in what a file does not say.
func (c SettingSaving) complete(ctx context.Context, e *setting.Edit, now int64) error {
	e.Author, e.Comment = cmp.Or(author(ctx, c.Author), nobody), c.Comment
	if err := c.based(e, now); err != nil {
		return err
	}
	if c.Trial == "" {
		return nil
	}
	d, err := setting.ParseDuration(c.Trial)
	if err == nil && d <= 0 {
		err = errors.New("a trial takes some time, such as 5m; leave it out to save for good")
	}
	if err != nil {
		return inField("trial", err)
	}
	e.Trial = d
	return nil
}

// based ties the edit to the version it was made from. Version 0, before the
// first change, is checked here: to an Edit it means any.
func (c SettingSaving) based(e *setting.Edit, now int64) error {
	if c.Base == nil {
		return nil
	}
	if e.Base = *c.Base; e.Base == 0 && now != 0 {
		return said{fmt.Sprintf("settings are at version %d, the change was made from 0; look again", now), store.ErrConflict}
	}
	return nil
}

func (s *Service) changeSettings(ctx context.Context, in *SettingChangeInput) (SettingOutcome, error) {
	e, err := in.Body.edit(ctx, s.o.Settings.Registry().Version())
	if err != nil {
		return SettingOutcome{}, err
	}
	return s.save(ctx, e, in.Body.DryRun)
}

func (s *Service) save(ctx context.Context, e setting.Edit, dryRun bool) (SettingOutcome, error) {
	if dryRun {
		d, err := s.o.Settings.Plan(ctx, e)
		return SettingOutcome{Differences: d}, err
	}
	saved, err := s.o.Settings.Save(ctx, e)
	out := s.outcome(saved)
	if s.o.Advise != nil && err == nil {
		out.Warnings = s.o.Advise(ctx, saved.Changes)
	}
	return out, err
}

func (s *Service) outcome(saved setting.Saved) SettingOutcome {
	out := SettingOutcome{Version: saved.Version, Differences: saved.Changes}
	if v, _, until, ok := s.o.Settings.OnTrial(); ok && v == saved.Version {
		out.ConfirmBy = &until
	}
	return out
}

func (s *Service) exportSettings(ctx context.Context, in *SettingExportInput) (SettingFile, error) {
	if in.Secrets {
		if err := allowed(ctx, "setting-export with secrets", administrator); err != nil {
			return SettingFile{}, err
		}
	}
	version := s.o.Settings.Registry().Version()
	return SettingFile{version, string(s.o.Settings.Export(in.Secrets))}, nil
}

func (s *Service) applySettings(ctx context.Context, in *SettingFileInput) (SettingOutcome, error) {
	if in.Body.Replace && in.Body.Base == nil && !in.Body.DryRun && overHTTP(ctx) {
		return SettingOutcome{}, inField("base", errors.New("a file that replaces all settings needs the version it was made from, or it might undo what somebody else has just changed; take version of GET /settings-file"))
	}
	e, err := s.o.Settings.FileEdit([]byte(in.Body.File), in.Body.Replace)
	if err != nil {
		return SettingOutcome{}, inField("file", err)
	}
	if err := in.Body.complete(ctx, &e, s.o.Settings.Registry().Version()); err != nil {
		return SettingOutcome{}, err
	}
	return s.save(ctx, e, in.Body.DryRun)
}

func (s *Service) settingHistory(ctx context.Context, in *SettingHistoryInput) (Page[setting.Change], error) {
	var before int64
	if in.After != "" {
		var err error
		if before, err = strconv.ParseInt(in.After, 10, 64); err != nil || before < 1 {
			return Page[setting.Change]{}, inField("after", fmt.Errorf("%q is no version; take next of the page before", in.After))
		}
	}
	limit := in.limit()
	all, err := s.o.Settings.History(ctx, before, limit)
	p := Page[setting.Change]{Items: all}
	if p.Items == nil {
		p.Items = []setting.Change{}
	}
	if len(all) == limit {
		p.Next = strconv.FormatInt(all[limit-1].Version, 10)
	}
	return p, err
}

func (s *Service) undoSettings(ctx context.Context, in *SettingVersionInput) (SettingOutcome, error) {
	saved, err := s.o.Settings.Undo(ctx, in.Version, cmp.Or(author(ctx, in.Author), nobody))
	return s.outcome(saved), err
}

func (s *Service) confirmSettings(ctx context.Context, in *SettingVersionInput) (None, error) {
	err := s.o.Settings.Confirm(ctx, in.Version)
	if errors.Is(err, store.ErrNotFound) {
		err = said{fmt.Sprintf("version %d is not on trial: it is kept already, was taken back, or never was (posthorn setting history)", in.Version), err}
	}
	return None{}, err
}

func matches(i setting.Info, part string) bool {
	part = strings.ToLower(part)
	return strings.Contains(i.Name, part) || strings.Contains(strings.ToLower(i.Doc), part)
}
