package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"

	"posthorn/internal/server/manage"
	"posthorn/internal/state/setting"
)

type settingCmd struct {
	List    settingListCmd    `cmd:"" help:"List settings with their values."`
	Get     settingGetCmd     `cmd:"" help:"Print one value."`
	Set     settingSetCmd     `cmd:"" help:"Change settings, all or nothing: NAME=VALUE..."`
	Explain settingExplainCmd `cmd:"" help:"What a setting means, where its value comes from, what it may be."`
	Export  settingExportCmd  `cmd:"" help:"Write all settings as one text file."`
	Apply   settingApplyCmd   `cmd:"" help:"Apply a settings file, or a profile."`
	History settingHistoryCmd `cmd:"" help:"Who changed what, and when."`
	Undo    settingUndoCmd    `cmd:"" help:"Take a change back."`
	Confirm settingConfirmCmd `cmd:"" help:"Keep a change that is on trial."`
}

type settingListCmd struct {
	Match   string `arg:"" optional:"" help:"Part of the name or of the documentation."`
	Changed bool   `help:"Only settings that are not at their default."`
}

func (c *settingListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "setting-list", manage.SettingListInput{Match: c.Match}, func(now manage.SettingsNow) error {
		t := newTable(s.Out, "SETTING", "VALUE", "FROM", "MEANING")
		shown := 0
		for _, i := range now.Items {
			if c.Changed && (!i.Set || i.Value == i.Default) {
				continue
			}
			from := "default"
			if i.Set {
				from = "set"
			}
			t.row(i.Name, none(short(i.Value, 32), `""`), from, short(i.Summary, 60))
			shown++
		}
		if shown == 0 {
			_, err := fmt.Fprintln(s.Out, s.hint("No setting matches. All of them: posthorn setting list"))
			return err
		}
		if err := t.end(); err != nil {
			return err
		}
		_, err := fmt.Fprintln(s.Out, s.hint("\nOne of them in full: posthorn setting explain NAME"))
		return err
	})
}

// short cuts a text for a table.
func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

type settingGetCmd struct {
	Name string `arg:"" help:"Name of the setting."`
}

func (c *settingGetCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "setting-explain", manage.SettingInput{Name: c.Name}, func(i setting.Info) error {
		_, err := fmt.Fprintln(s.Out, i.Value)
		return err
	})
}

// saving are the ways a change can be saved.
type saving struct {
	Comment string `help:"Why, for the history." placeholder:"TEXT"`
	Trial   string `help:"Let the change return by itself after this time, such as 5m, unless it is confirmed." placeholder:"TIME"`
	DryRun  bool   `help:"Only show what would change."`
}

func (v saving) change() (manage.SettingChange, error) {
	if v.Trial != "" {
		if _, err := setting.ParseDuration(v.Trial); err != nil {
			return manage.SettingChange{}, misuse("--trial: %w", err)
		}
	}
	return manage.SettingChange{SettingSaving: manage.SettingSaving{Comment: v.Comment, Trial: v.Trial, DryRun: v.DryRun, Author: author()}}, nil
}

// author names who sits at the terminal.
func author() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name + " (command line)"
	}
	if u, err := user.Current(); err == nil {
		return u.Username + " (command line)"
	}
	return "command line"
}

type settingSetCmd struct {
	Values []string `arg:"" help:"NAME=VALUE; NAME= alone returns to the default."`
	Stdin  bool     `help:"Read the value of the one NAME that is given without =VALUE from standard input: arguments, and so passwords among them, are seen by all users of the machine."`
	saving
}

func (c *settingSetCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	change, err := c.change()
	if err != nil {
		return err
	}
	change.Set = map[string]string{}
	piped, seen := "", map[string]bool{}
	for _, v := range c.Values {
		name, value, ok := strings.Cut(v, "=")
		if seen[name] {
			return misuse("%s is there twice; say once what it shall be", name)
		}
		seen[name] = true
		switch {
		case !ok && c.Stdin && piped == "":
			piped = name
		case !ok && c.Stdin:
			return misuse("standard input has one value, not one for %s and one for %s", piped, v)
		case !ok:
			return misuse("%q has no value; write %s=VALUE, %s= for the default, or pipe the value in with --stdin", v, v, v)
		case value == "":
			change.Unset = append(change.Unset, name)
		default:
			change.Set[name] = value
		}
	}
	if c.Stdin {
		value, err := c.read(s, piped)
		if err != nil {
			return err
		}
		change.Set[piped] = value
	}
	return show(ctx, w, s, "setting-change", manage.SettingChangeInput{Body: change}, c.tell(s))
}

// maxPiped bounds a value from standard input.
const maxPiped = 1 << 20

// read takes the value of a setting from standard input, without the end of its
// last line.
func (c *settingSetCmd) read(s *Streams, name string) (string, error) {
	if name == "" {
		return "", misuse("--stdin: name the setting it is for, without = (posthorn setting set relay.password --stdin)")
	}
	text, err := io.ReadAll(io.LimitReader(s.In, maxPiped+1))
	if err != nil {
		return "", fmt.Errorf("--stdin: %w", err)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	switch {
	case len(text) > maxPiped:
		return "", fmt.Errorf("--stdin: more than %s", human(int64(maxPiped)))
	case value == "":
		return "", fmt.Errorf("--stdin: nothing came; pipe the value in, or write %s= for the default", name)
	}
	return value, nil
}

// tell says what a change did.
func (v saving) tell(s *Streams) func(manage.SettingOutcome) error {
	return func(o manage.SettingOutcome) error {
		if len(o.Differences) == 0 {
			_, err := fmt.Fprintln(s.Out, "Nothing changes: that is in force already.")
			return err
		}
		for _, d := range o.Differences {
			if _, err := fmt.Fprintln(s.Out, clean(d.String())); err != nil {
				return err
			}
		}
		var err error
		for _, text := range o.Warnings {
			if _, err := fmt.Fprintf(s.Out, "Note: %s\n", s.hint(clean(text))); err != nil {
				return err
			}
		}
		switch {
		case v.DryRun:
			_, err = fmt.Fprintln(s.Out, "Nothing was saved (--dry-run).")
		case o.ConfirmBy != nil:
			_, err = fmt.Fprint(s.Out, s.hint(fmt.Sprintf("Saved as version %d, on trial until %s. Keep it: posthorn setting confirm %d\n", o.Version, when(*o.ConfirmBy), o.Version)))
		default:
			_, err = fmt.Fprint(s.Out, s.hint(fmt.Sprintf("Saved as version %d and in force; open sessions keep what they began with. Take it back: posthorn setting undo %d\n", o.Version, o.Version)))
		}
		return err
	}
}

type settingExplainCmd struct {
	Name string `arg:"" help:"Name of the setting."`
}

func (c *settingExplainCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "setting-explain", manage.SettingInput{Name: c.Name}, func(i setting.Info) error {
		_, err := fmt.Fprint(s.Out, s.hint(fmt.Sprintf("%s\n\nChange it: posthorn setting set %s\n", strings.TrimRight(i.String(), "\n"), assignment(i))))
		return err
	})
}

// assignment is how a setting of this type is given a value, as it can be copied
// into a shell.
func assignment(i setting.Info) string {
	switch {
	case i.Secret:
		return i.Name + " --stdin   # pipe the value in, or type it and end with Ctrl-D"
	case strings.HasPrefix(i.Type, "list of"):
		return i.Name + "=VALUE,VALUE"
	case len(i.OneOf) > 0:
		other := i.OneOf[0]
		if other == i.Value {
			other = i.OneOf[1%len(i.OneOf)]
		}
		return i.Name + "=" + other + "   # " + strings.Join(i.OneOf, ", ")
	}
	return i.Name + "=VALUE"
}

type settingExportCmd struct {
	Secrets bool `help:"Include secrets, sealed with this server's key file."`
}

func (c *settingExportCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "setting-export", manage.SettingExportInput{Secrets: c.Secrets}, func(f manage.SettingFile) error {
		_, err := io.WriteString(s.Out, f.File)
		return err
	})
}

type settingApplyCmd struct {
	File    string `arg:"" optional:"" help:"Settings file; - for standard input."`
	Replace bool   `help:"The file is the whole truth: what it does not name returns to its default."`
	Profile string `help:"Take the defaults of a profile instead of a file: recommended, factory or trial." placeholder:"NAME"`
	saving
}

func (c *settingApplyCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	if (c.File == "") == (c.Profile == "") {
		return misuse("give a settings file or --profile NAME, one of them")
	}
	change, err := c.change()
	if err != nil {
		return err
	}
	if c.Profile != "" {
		change.Set = map[string]string{"profile": c.Profile}
		return show(ctx, w, s, "setting-change", manage.SettingChangeInput{Body: change}, c.tell(s))
	}
	text, err := c.read(s)
	if err != nil {
		return err
	}
	in := manage.SettingFileInput{}
	in.Body.File, in.Body.Replace, in.Body.SettingSaving = string(text), c.Replace, change.SettingSaving
	return show(ctx, w, s, "setting-apply", in, c.tell(s))
}

func (c *settingApplyCmd) read(s *Streams) ([]byte, error) {
	if c.File == "-" {
		return io.ReadAll(s.In)
	}
	return os.ReadFile(c.File)
}

type settingHistoryCmd struct {
	Limit int `help:"Most changes to show." default:"50"`
}

func (c *settingHistoryCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "setting-history", manage.SettingHistoryInput{Paging: manage.Paging{Limit: c.Limit}}, func(p manage.Page[setting.Change]) error {
		if len(p.Items) == 0 {
			_, err := fmt.Fprintln(s.Out, "No setting was ever changed: all are at their defaults.")
			return err
		}
		for _, h := range p.Items {
			if err := printChange(s.Out, h); err != nil {
				return err
			}
		}
		return nil
	})
}

func printChange(w io.Writer, h setting.Change) error {
	head := fmt.Sprintf("version %d  %s  %s", h.Version, when(h.Time), h.Author)
	if h.Undoes != 0 {
		head += fmt.Sprintf("  takes back version %d", h.Undoes)
	}
	if h.ConfirmBy != nil {
		head += "  on trial until " + when(*h.ConfirmBy)
	}
	if h.Comment != "" && h.Undoes == 0 { // that of an undo says no more
		head += "  " + h.Comment
	}
	if _, err := fmt.Fprintln(w, clean(head)); err != nil {
		return err
	}
	for _, i := range h.Items {
		change := orDefault(i.Old) + " -> " + orDefault(i.New)
		if i.Old != nil && i.New != nil && *i.Old == *i.New { // of a secret only that it is there is told
			change = "set to another value"
		}
		if _, err := fmt.Fprintf(w, "    %s: %s\n", i.Name, change); err != nil {
			return err
		}
	}
	return nil
}

func orDefault(v *string) string {
	if v == nil {
		return "(default)"
	}
	return clean(none(*v, `""`))
}

type settingUndoCmd struct {
	Version int64 `arg:"" help:"Version to take back (posthorn setting history)."`
}

func (c *settingUndoCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "setting-undo", manage.SettingVersionInput{Version: c.Version, Author: author()}, saving{}.tell(s))
}

type settingConfirmCmd struct {
	Version int64 `arg:"" help:"Version to keep (posthorn status, or setting history)."`
}

func (c *settingConfirmCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return does(ctx, w, s, "setting-confirm", manage.SettingVersionInput{Version: c.Version}, "Version %d stays in force.", c.Version)
}
