package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"posthorn/internal/app"
	"posthorn/internal/app/boot"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/shell"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

type quickstartCmd struct {
	listening
	Domain         string `help:"Domain to make." default:"example.test"`
	Password       string `help:"Password of both accounts (default: made up at the first start, and printed)." placeholder:"TEXT"`
	PlaintextLogin bool   `help:"Allow login without TLS on these loopback listeners, for simple clients."`
	Send           bool   `help:"Really send mail to other domains; otherwise it waits in the queue."`
}

func (c *quickstartCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	domain, err := mail.ParseDomain(c.Domain)
	if err != nil || mail.IsLiteral(domain) {
		return misuse("--domain: %q is not a domain name such as example.org", c.Domain)
	}
	config, err := c.boot(w)
	if err != nil {
		return err
	}
	sockets, err := app.Sockets(ctx, config)
	if err != nil {
		if manage.Dial(config.Data) != nil {
			return fmt.Errorf("a server runs on %s already (posthorn status%s); stop it, or start another with --data DIR --listen smtp=127.0.0.1:0 --listen submissions=127.0.0.1:0 --listen imaps=127.0.0.1:0", config.Data, w.flags())
		}
		return err
	}
	t := trial{c: c, domain: domain}
	o := app.ServeOptions{Open: app.OpenOptions{Log: s.Err, Version: Version()}, Sockets: sockets, Prepare: t.prepare}
	o.Ready = func(h *app.House, open []manage.Listener) error {
		if w.JSON {
			return announce(s.Out, open)
		}
		return t.print(s.Out, h, w.Data, open)
	}
	return app.Serve(ctx, config, o)
}

// boot is the configuration of a trial: loopback only.
func (c *quickstartCmd) boot(w *Where) (boot.Config, error) {
	if w.Config != "" {
		return boot.Config{}, misuse("quickstart takes no --config: it is a trial; the real server is posthorn serve --config FILE")
	}
	config := boot.Config{Data: w.Data, Log: boot.Log{Level: "warn"}}
	if config.Data == "" {
		folder, err := TrialFolder()
		if err != nil {
			return config, err
		}
		config.Data = folder
	}
	if err := c.apply(&config, boot.Trial()); err != nil {
		return config, err
	}
	for name, addrs := range config.Listen {
		for _, a := range addrs {
			if !loopback(a) {
				return config, misuse("--listen %s=%s: quickstart listens on loopback only (127.0.0.1:PORT); the real server is posthorn serve", name, a)
			}
		}
	}
	return config, nil
}

func loopback(addr string) bool {
	if strings.HasPrefix(addr, "/") || strings.HasPrefix(addr, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (ip != nil && ip.IsLoopback() || host == "localhost")
}

// trial is the state of a quickstart between its two steps.
type trial struct {
	c      *quickstartCmd
	domain string
	// passwords are those known now: given, or made at the first start.
	passwords map[string]string
}

// prepare makes domain and accounts where they are missing.
func (t *trial) prepare(ctx context.Context, h *app.House) error {
	t.passwords = map[string]string{}
	if err := t.settings(ctx, h); err != nil {
		return err
	}
	if err := t.home(ctx, h); err != nil {
		return err
	}
	for _, who := range []struct {
		local, name string
		admin       bool
	}{{"admin", "Administrator", true}, {"demo", "Demo", false}} {
		if err := t.account(ctx, h, who.local+"@"+t.domain, who.name, who.admin); err != nil {
			return err
		}
	}
	return t.remember(h)
}

// home makes the domain.
func (t *trial) home(ctx context.Context, h *app.House) error {
	_, err := manage.Invoke[manage.Domain](ctx, h.Service, "domain-show", manage.DomainInput{Name: t.domain})
	if errors.Is(err, store.ErrNotFound) {
		_, err = manage.Invoke[manage.None](ctx, h.Service, "domain-add", manage.DomainAddInput{Body: manage.NewDomain{Name: t.domain}})
	}
	return err
}

// remember keeps the passwords for posthorn try.
func (t *trial) remember(h *app.House) error {
	known, err := app.LoadTrial(h.Config.Data)
	if err != nil {
		return err
	}
	for address, password := range known {
		if _, ok := t.passwords[address]; !ok {
			t.passwords[address] = password
		}
	}
	return h.SaveTrial(t.passwords)
}

// settings takes the trial profile at the first start (PROF-01). Nothing leaves
// a trial unless it is told to; the setting that says so explains itself in
// what the queue shows.
func (t *trial) settings(ctx context.Context, h *app.House) error {
	want := map[string]string{"login.plaintext_needs_tls": fmt.Sprint(!t.c.PlaintextLogin), "queue.paused": fmt.Sprint(!t.c.Send)}
	if h.Settings.Registry().Version() == 0 {
		want["profile"] = string(setting.Trial)
		want["server.hostname"] = "mx." + t.domain
	}
	_, err := h.Settings.Save(ctx, setting.Edit{Set: want, Author: "quickstart"})
	return err
}

// account makes an account, or gives it the password asked for. One that is there
// is only looked at: a start must not need room on the disk.
func (t *trial) account(ctx context.Context, h *app.House, address, name string, admin bool) error {
	made := t.c.Password
	_, err := manage.Invoke[manage.Account](ctx, h.Service, "account-show", manage.AccountInput{Address: address})
	switch {
	case errors.Is(err, store.ErrNotFound):
		if made == "" {
			made = newPassword()
		}
		_, err = manage.Invoke[manage.Account](ctx, h.Service, "account-add", manage.AccountAddInput{
			Body: manage.AccountChange{Addresses: []string{address}, Password: &made, FullName: &name, Admin: &admin}})
	case err == nil && made != "" && !h.HasPassword(ctx, address, made):
		_, err = manage.Invoke[manage.None](ctx, h.Service, "account-set", manage.AccountSetInput{Address: address, Body: manage.AccountChange{Password: &made}})
	}
	if err == nil && made != "" {
		t.passwords[address] = made
	}
	return err
}

// print tells what to try.
func (t *trial) print(w io.Writer, h *app.House, data string, open []manage.Listener) error {
	at := map[string]string{}
	var b strings.Builder
	fmt.Fprintf(&b, "\nposthorn is running, on this machine only. Its data is in %s\n\n", h.Config.Data)
	for _, l := range open {
		at[l.Listener] = l.Addr
		fmt.Fprintf(&b, "    %-12s %s\n", l.Listener, l.Addr)
	}
	b.WriteString("\nAccounts:\n\n")
	for _, local := range []string{"demo", "admin"} {
		address := local + "@" + t.domain
		fmt.Fprintf(&b, "    %-28s %s\n", readable(address), none(t.passwords[address], "(unknown here; --password TEXT sets a new one)"))
	}
	where := (&Where{Data: data}).flags()
	demo, admin := "demo@"+t.domain, "admin@"+t.domain
	fmt.Fprintf(&b, "\nSend the first message and read it, in another terminal:\n\n%s", onPath())
	for _, try := range []struct{ door, command string }{
		{"submission", "send" + where + " --from " + demo + " --to " + admin + " --subject 'First mail'"},
		{"imap", "read" + where + " --login " + admin},
		{"pop3", "read" + where + " --login " + admin + " --pop3"},
	} {
		if at[try.door] != "" || at[try.door+"s"] != "" {
			fmt.Fprintf(&b, "    posthorn try %s\n", try.command)
		}
	}
	b.WriteString("\n")
	t.curl(&b, h, at, demo, admin)
	if !t.c.Send {
		fmt.Fprintf(&b, "Mail to other domains waits in the queue; to send it, start with --send.\n")
	}
	fmt.Fprintf(&b, "See what happened and why:  posthorn trace%s --to %s\nStop with Ctrl-C.\n", where, admin)
	_, err := io.WriteString(w, b.String())
	return err
}

// onPath is a line that lets the word posthorn run this program where the
// path does not.
func onPath() string {
	if _, err := exec.LookPath("posthorn"); err == nil {
		return ""
	}
	me, err := os.Executable()
	if err != nil {
		return ""
	}
	if strings.Contains(me, "/go-build") { // go run: the file is gone afterwards
		here, err := os.Getwd()
		if err != nil {
			return ""
		}
		me = "go run -C " + shell.Word(here) + " ./cmd/posthorn"
	}
	return "    alias posthorn=" + shell.Word(me) + "\n"
}

// curl prints the same for curl and swaks, where the ports are open.
func (t *trial) curl(b *strings.Builder, h *app.House, at map[string]string, demo, admin string) {
	if at["submissions"] == "" || at["imaps"] == "" || t.passwords[demo] == "" {
		return
	}
	ca := shell.Word(filepath.Join(h.Config.Data, "tls", "ca.pem"))
	fmt.Fprintf(b, `The same with curl:

    printf 'From: <%[1]s>\r\nTo: <%[2]s>\r\nSubject: First mail\r\n\r\nHello.\r\n' | curl --cacert %[3]s --url smtps://%[4]s --user %[5]s --mail-from %[1]s --mail-rcpt %[2]s -T -
    curl --cacert %[3]s --url 'imaps://%[6]s/INBOX;MAILINDEX=*' --user %[7]s

and with swaks:

    swaks --server %[4]s --tls-on-connect --auth-user %[1]s --auth-password %[8]s --from %[1]s --to %[2]s

`, demo, admin, ca, at["submissions"], shell.Word(demo+":"+t.passwords[demo]), at["imaps"], shell.Word(admin+":"+t.passwords[admin]),
		shell.Word(t.passwords[demo]))
}
