package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// postfix runs in a scratch folder with Debian's defaults plus only what the
// run needs.
type postfix struct {
	dir  string
	smtp string
	cmd  *exec.Cmd
}

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = peer.example.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_relay_restrictions = permit_mynetworks, reject
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
smtpd_client_connection_count_limit = 0
alias_maps =
%[2]s`

const postfixMaster = `%[1]s inet n - n - 1100 smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
`

// Where Postfix hands its mail: %s is an address.
const (
	postfixToLMTP = `virtual_mailbox_domains = example.test
virtual_mailbox_maps = static:yes
virtual_transport = lmtp:inet:%s
`
	postfixRelays = "relayhost = [127.0.0.1]:%s\n"
)

// startPostfix writes the configuration and starts the server; further are
// lines of main.cf.
func startPostfix(ctx context.Context, dir, further string) (*postfix, error) {
	p := &postfix{dir: dir}
	var err error
	if p.smtp, err = freeAddr(); err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "postfix")
	for _, d := range []string{conf, dir + "/queue/pid", dir + "/data"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	files := map[string]string{
		conf + "/main.cf":        fmt.Sprintf(postfixMain, dir, further),
		conf + "/master.cf":      fmt.Sprintf(postfixMaster, p.smtp),
		conf + "/dynamicmaps.cf": "",
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	if err := p.queue(); err != nil {
		return nil, err
	}
	p.cmd, err = daemon(ctx, "/usr/lib/postfix/sbin/master", "-c", conf, "-d")
	if err != nil {
		return nil, fmt.Errorf("postfix: %w (apt-get install postfix)", err)
	}
	if err := waitFor(p.smtp, 20*time.Second); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// daemon starts a server that SIGTERM ends.
func daemon(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.Stderr = os.Stderr
	return c, c.Start()
}

func end(c *exec.Cmd) {
	_ = c.Process.Signal(syscall.SIGTERM)
	_ = c.Wait() // a signal is how it was meant to end
}

func (p *postfix) stop() { end(p.cmd) }

// queue makes the folders that "postfix check" would make.
func (p *postfix) queue() error {
	for _, d := range []string{"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"} {
		if err := os.MkdirAll(filepath.Join(p.dir, "queue", d), 0o700); err != nil {
			return err
		}
	}
	for _, d := range []string{"public", "maildrop"} {
		if err := os.MkdirAll(filepath.Join(p.dir, "queue", d), 0o730); err != nil {
			return err
		}
	}
	script := `cd "$1/queue" && chown postfix active bounce corrupt defer deferred flush hold incoming private saved trace ../data &&
chown postfix:postdrop public maildrop && chmod 710 public && chmod 730 maildrop && chmod 755 "$1"`
	if out, err := exec.Command("sh", "-c", script, "sh", p.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("postfix queue: %w: %s", err, out)
	}
	return nil
}

func (p *postfix) cpu() float64 { return treeCPU(p.cmd.Process.Pid) }

// drained waits until Postfix's queue folders hold no message.
func (p *postfix) drained(patience time.Duration) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		left := 0
		for _, q := range []string{"incoming", "active", "deferred", "maildrop"} {
			_ = filepath.WalkDir(filepath.Join(p.dir, "queue", q), func(_ string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					left++
				}
				return nil
			})
		}
		if left == 0 {
			return nil
		}
	}
	return fmt.Errorf("the queue of Postfix did not drain in %v", patience)
}
