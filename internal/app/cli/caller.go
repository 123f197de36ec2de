package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"syscall"

	"posthorn/internal/app"
	"posthorn/internal/app/boot"
	"posthorn/internal/base/shell"
	"posthorn/internal/server/listen"
	"posthorn/internal/server/manage"
)

// ConfigFile is read when neither --data nor --config is given and it exists.
const ConfigFile = "/etc/posthorn/posthorn.toml"

// TrialFolder is where quickstart keeps its data without --data.
func TrialFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the trial's data: %w; give one with --data DIR", err)
	}
	return filepath.Join(cache, "posthorn"), nil
}

// boot returns the bootstrap configuration of the server a command is about.
func (w *Where) boot() (boot.Config, error) {
	var c boot.Config
	var err error
	file := w.Config
	if file == "" && w.Data == "" && exists(ConfigFile) {
		file = ConfigFile
	}
	if file != "" {
		if c, err = boot.Load(file); err != nil {
			return c, err
		}
	}
	if w.Data != "" {
		c.Data = w.Data
	}
	if c.Data == "" && file == "" {
		if c.Data, err = TrialFolder(); err != nil {
			return c, err
		}
	}
	if c.Data == "" {
		return c, fmt.Errorf(`%s has no field data; add data = "/var/lib/posthorn" or give --data DIR`, file)
	}
	return c, nil
}

// flags repeats for a hint the flags that name the server.
func (w *Where) flags() string {
	switch {
	case w.Config != "":
		return " --config " + shell.Word(w.Config)
	case w.Data != "":
		return " --data " + shell.Word(w.Data)
	}
	return ""
}

// start is the command that starts the server a command was about.
func (w *Where) start() string {
	switch {
	case w.Config != "":
		return "posthorn serve" + w.flags()
	case w.Data == "" && exists(ConfigFile):
		return "posthorn serve"
	}
	return "posthorn quickstart" + w.flags() + " for a trial, posthorn serve" + w.flags()
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// with finds who runs operations: the server of the data folder, or, when none
// runs, this process on the store itself. Then root becomes the owner of the
// folder, or the server could not open what this process makes there.
//
// Whoever has named no folder is told when it is the one of a trial that has
// ended, for then another server may have been meant.
func (w *Where) with(ctx context.Context, s *Streams, f func(manage.Caller) error) error {
	c, err := w.boot()
	if err != nil {
		return err
	}
	remote, err := manage.Reach(c.Data)
	switch {
	case err == nil:
		return f(remote)
	case errors.Is(err, fs.ErrPermission):
		return barred(c.Data, err)
	}
	if !exists(c.Data) {
		return fmt.Errorf("no server runs on %s and the folder does not exist; start one (%s), or name another with --data DIR or --config FILE", c.Data, w.start())
	}
	if w.Data == "" && w.Config == "" {
		fmt.Fprintf(s.Err, "posthorn: no server runs on %s; this is about the data there (another: --data DIR or --config FILE)\n", c.Data)
	}
	if err := listen.BecomeOwner(c.Data); err != nil {
		return err
	}
	house, err := app.Open(ctx, c, app.OpenOptions{MustExist: true, Version: Version()})
	if err != nil {
		return err
	}
	return errors.Join(f(house.Service), house.Close())
}

// barred says who may administer the server of a folder that this user may not
// enter.
func barred(dir string, err error) error {
	who := "its owner"
	if info, failed := os.Stat(dir); failed == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			who = fmt.Sprintf("user %d", stat.Uid)
			if u, failed := user.LookupId(fmt.Sprint(stat.Uid)); failed == nil {
				who = u.Username
			}
		}
	}
	if who == "root" {
		return fmt.Errorf("%s is another user's, and so is the server that may run there: run this as root: %w", dir, err)
	}
	return fmt.Errorf("%s is another user's, and so is the server that may run there: run this as root or as %s: %w", dir, who, err)
}

// ask runs one operation and returns its answer.
func ask[O any](ctx context.Context, w *Where, s *Streams, id string, in any) (out O, err error) {
	err = w.with(ctx, s, func(c manage.Caller) error {
		out, err = manage.Invoke[O](ctx, c, id, in)
		return err
	})
	return out, err
}

// show runs one operation and writes the answer: as JSON, or by the renderer.
func show[O any](ctx context.Context, w *Where, s *Streams, id string, in any, render func(O) error) error {
	out, err := ask[O](ctx, w, s, id, in)
	if err != nil {
		return err
	}
	if w.JSON {
		return printJSON(s.Out, out)
	}
	return render(out)
}

// list runs an operation for every page of its list and renders the whole: as
// one page in JSON, or by the renderer.
func list[T any](ctx context.Context, w *Where, s *Streams, id string, in func(manage.Paging) any, render func([]T) error) error {
	all := []T{}
	err := w.with(ctx, s, func(c manage.Caller) error {
		for after := ""; ; {
			page, err := manage.Invoke[manage.Page[T]](ctx, c, id, in(manage.Paging{After: after, Limit: 1000}))
			if err != nil {
				return err
			}
			all = append(all, page.Items...)
			if after = page.Next; after == "" {
				return nil
			}
		}
	})
	if err != nil {
		return err
	}
	if w.JSON {
		return printJSON(s.Out, manage.Page[T]{Items: all})
	}
	return render(all)
}

// does runs an operation whose answer is one sentence.
func does(ctx context.Context, w *Where, s *Streams, id string, in any, sentence string, args ...any) error {
	return show(ctx, w, s, id, in, func(manage.None) error {
		_, err := fmt.Fprint(s.Out, s.hint(fmt.Sprintf(sentence+"\n", args...)))
		return err
	})
}
