package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"strings"

	"posthorn/internal/app"
	"posthorn/internal/app/boot"
	"posthorn/internal/base/shell"
	"posthorn/internal/server/listen"
	"posthorn/internal/server/manage"
)

// listening are the flags of both server commands.
type listening struct {
	Listen []string `help:"Open only these listeners: NAME=ADDRESS:PORT, may be given several times; port 0 lets the system choose." placeholder:"NAME=ADDR" sep:"none"`
	DNS    []string `name:"dns" help:"DNS server to ask, instead of the system's; a second one is asked when it fails." placeholder:"ADDR:PORT"`
}

// apply puts the flags over the configuration; standard are the listeners when
// neither names any.
func (l listening) apply(c *boot.Config, standard map[string][]string) error {
	if len(l.Listen) > 0 {
		c.Listen = map[string][]string{}
		for _, text := range l.Listen {
			spec, err := listen.ParseSpec(text)
			if err == nil {
				err = boot.CheckListen(spec.Name, spec.Addr)
			}
			if err != nil {
				return misuse("--listen %s: %s", text, strings.TrimPrefix(err.Error(), "listen: "))
			}
			c.Listen[spec.Name] = append(c.Listen[spec.Name], spec.Addr)
		}
	}
	if len(c.Listen) == 0 {
		c.Listen = standard
	}
	for _, addr := range l.DNS {
		if _, err := netip.ParseAddrPort(addr); err != nil {
			return misuse("--dns: %q is not ADDRESS:PORT, for example 192.0.2.53:53", addr)
		}
	}
	switch len(l.DNS) {
	case 0:
	case 1:
		c.DNS = boot.DNS{Preferred: l.DNS[0]}
	case 2:
		c.DNS = boot.DNS{Preferred: l.DNS[0], Alternate: l.DNS[1]}
	default:
		return misuse("--dns: two servers at most, the preferred and the alternate one")
	}
	return c.Check()
}

type serveCmd struct {
	listening
	User      string `help:"User to become after the sockets are open, when started as root." placeholder:"NAME"`
	AllowRoot bool   `help:"Stay root, as some containers want."`
}

func (c *serveCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	if w.Config == "" && w.Data == "" && !exists(ConfigFile) {
		return misuse("say where the server keeps its data: --config FILE or --data DIR (%s does not exist); to try posthorn out: posthorn quickstart", ConfigFile)
	}
	config, err := w.boot()
	if err != nil {
		return err
	}
	if err := c.apply(&config, boot.Standard()); err != nil {
		return err
	}
	sockets, err := app.Sockets(ctx, config)
	if err != nil {
		if manage.Dial(config.Data) != nil {
			return fmt.Errorf("a server runs on %s already (posthorn status); stop it before another one is started there", config.Data)
		}
		return err
	}
	if c.User == "" {
		c.User = config.User
	}
	if _, err := (listen.Identity{User: c.User, Data: config.Data, AllowRoot: c.AllowRoot, Sockets: sockets}).Assume(); err != nil {
		if errors.Is(err, listen.ErrRoot) {
			err = fmt.Errorf(`%w; the same in posthorn.toml: user = "posthorn"`, err)
		}
		return err
	}
	o := app.ServeOptions{Open: app.OpenOptions{Log: s.Err, Version: Version()}, Sockets: sockets}
	o.Ready = func(_ *app.House, open []manage.Listener) error {
		if w.JSON {
			return announce(s.Out, open)
		}
		return nil
	}
	return noFolder(app.Serve(ctx, config, o), config.Data, c.User)
}

// noFolder tells how to make the data folder where the server's user may not.
func noFolder(err error, data, user string) error {
	if !errors.Is(err, fs.ErrPermission) || exists(data) {
		return err
	}
	return fmt.Errorf("%w; make it and give it to the server's user: install -d -m 700 -o %s %s", err, none(user, "USER"), shell.Word(data))
}

// announce tells programs where the server listens: a line a listener, then
// one that it is ready.
func announce(w io.Writer, open []manage.Listener) error {
	e := json.NewEncoder(w)
	for _, l := range open {
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	return e.Encode(map[string]bool{"ready": true})
}
