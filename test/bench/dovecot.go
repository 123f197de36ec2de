package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// dovecot runs in a scratch folder with Debian's defaults plus only what the
// run needs: Maildir, and fsync as shipped.
type dovecot struct {
	dir              string
	imap, pop3, lmtp string
	cmd              *exec.Cmd
}

const dovecotConf = `protocols = imap lmtp pop3
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/dovecot.log
ssl = no
disable_plaintext_auth = no
mail_location = maildir:%[1]s/mail/%%u
first_valid_uid = 8
mail_max_userip_connections = 10000
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=mail gid=mail home=%[1]s/mail/%%u
}
service imap-login {
  inet_listener imap {
    address = 127.0.0.1
    port = %[2]s
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3 {
    address = 127.0.0.1
    port = %[4]s
  }
  inet_listener pop3s {
    port = 0
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = %[3]s
  }
}
`

const dovecotPassword = "secret"

func startDovecot(ctx context.Context, dir string) (*dovecot, error) {
	d := &dovecot{dir: dir}
	for _, a := range []*string{&d.imap, &d.pop3, &d.lmtp} {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		*a = addr
	}
	for _, sub := range []string{"run", "state", "mail"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(d.conf(), []byte(d.text()), 0o644); err != nil {
		return nil, err
	}
	if err := d.own(); err != nil {
		return nil, err
	}
	return d, d.start(ctx)
}

// text is the whole configuration.
func (d *dovecot) text() string {
	return fmt.Sprintf(dovecotConf, d.dir, port(d.imap), port(d.lmtp), port(d.pop3))
}

func (d *dovecot) conf() string { return filepath.Join(d.dir, "dovecot.conf") }

// own gives the mail to the user that Dovecot reads it as.
func (d *dovecot) own() error {
	if out, err := exec.Command("chown", "-R", "mail:mail", filepath.Join(d.dir, "mail")).CombinedOutput(); err != nil {
		return fmt.Errorf("chown: %w: %s", err, out)
	}
	return nil
}

func (d *dovecot) start(ctx context.Context) error {
	var err error
	if d.cmd, err = daemon(ctx, "/usr/sbin/dovecot", "-F", "-c", d.conf()); err != nil {
		return fmt.Errorf("dovecot: %w (apt-get install dovecot-imapd dovecot-pop3d dovecot-lmtpd)", err)
	}
	for _, a := range []string{d.imap, d.pop3, d.lmtp} {
		if err := waitFor(a, 20*time.Second); err != nil {
			d.stop()
			return err
		}
	}
	return nil
}

func (d *dovecot) stop()        { end(d.cmd) }
func (d *dovecot) cpu() float64 { return treeCPU(d.cmd.Process.Pid) }

// forget restarts the server without its index files, as after a restore; the
// list of UIDs stays.
func (d *dovecot) forget(ctx context.Context) error {
	d.stop()
	err := filepath.WalkDir(filepath.Join(d.dir, "mail"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && (e.Name() == "cur" || e.Name() == "new" || e.Name() == "tmp") {
			return filepath.SkipDir
		}
		if err == nil && strings.HasPrefix(e.Name(), "dovecot.") && strings.Contains(e.Name(), "index") {
			err = os.Remove(path)
		}
		return err
	})
	if err != nil {
		return err
	}
	return d.start(ctx)
}

// fill writes the corpus as Dovecot itself would have: LF, sizes in the names.
func (d *dovecot) fill(user string, c *corpus) error {
	box := filepath.Join(d.dir, "mail", user)
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(box, sub), 0o700); err != nil {
			return err
		}
	}
	for i := range c.n {
		text := c.message(i)
		short := strings.ReplaceAll(string(text), "\r\n", "\n")
		name := filepath.Join(box, "cur", fmt.Sprintf("%d.M%06dP1Q%d.bench,S=%d,W=%d:2,", c.date(i).Unix(), i, i, len(short), len(text)))
		if err := os.WriteFile(name, []byte(short), 0o600); err != nil {
			return err
		}
		if err := os.Chtimes(name, c.date(i), c.date(i)); err != nil {
			return err
		}
	}
	return d.own()
}
