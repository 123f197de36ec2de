package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// peer is Postfix handing to Dovecot by LMTP, in a scratch folder, with
// Debian's defaults plus only what the run needs; fsync stays on in both.
type peer struct {
	dir              string
	smtp, imap, lmtp string
	postfix, dovecot *exec.Cmd
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
virtual_mailbox_domains = example.test
virtual_mailbox_maps = static:yes
virtual_transport = lmtp:inet:%[2]s
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
smtpd_client_connection_count_limit = 0
alias_maps =
`

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

const dovecotConf = `protocols = imap lmtp
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
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = %[3]s
  }
}
`

// startPeer writes the configurations and starts both.
func startPeer(ctx context.Context, dir string) (*peer, error) {
	for _, bin := range []string{"postfix", "dovecot"} {
		if _, err := exec.LookPath(bin); err != nil {
			return nil, fmt.Errorf("%s is not installed: apt-get install postfix dovecot-imapd dovecot-lmtpd", bin)
		}
	}
	p := &peer{dir: dir}
	for _, a := range []*string{&p.smtp, &p.imap, &p.lmtp} {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		*a = addr
	}
	if err := p.write(); err != nil {
		return nil, err
	}
	p.dovecot = exec.CommandContext(ctx, "dovecot", "-F", "-c", filepath.Join(dir, "dovecot.conf"))
	p.postfix = exec.CommandContext(ctx, "/usr/lib/postfix/sbin/master", "-c", filepath.Join(dir, "postfix"), "-d")
	for _, c := range []*exec.Cmd{p.dovecot, p.postfix} {
		c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			return nil, err
		}
	}
	for _, a := range []string{p.smtp, p.imap, p.lmtp} {
		if err := waitFor(a, 20*time.Second); err != nil {
			p.stop()
			return nil, err
		}
	}
	return p, nil
}

func (p *peer) write() error {
	conf := filepath.Join(p.dir, "postfix")
	for _, d := range []string{conf, p.dir + "/queue/pid", p.dir + "/data", p.dir + "/run", p.dir + "/state", p.dir + "/mail"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{
		conf + "/main.cf":        fmt.Sprintf(postfixMain, p.dir, p.lmtp),
		conf + "/master.cf":      fmt.Sprintf(postfixMaster, p.smtp),
		p.dir + "/dovecot.conf":  fmt.Sprintf(dovecotConf, p.dir, port(p.imap), port(p.lmtp)),
		conf + "/dynamicmaps.cf": "",
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := p.postfixQueue(); err != nil {
		return err
	}
	if out, err := exec.Command("chown", "-R", "mail:mail", p.dir+"/mail").CombinedOutput(); err != nil {
		return fmt.Errorf("chown: %w: %s", err, out)
	}
	return nil
}

// postfixQueue makes the folders that "postfix check" would make.
func (p *peer) postfixQueue() error {
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

func (p *peer) stop() {
	for _, c := range []*exec.Cmd{p.postfix, p.dovecot} {
		if c != nil && c.Process != nil {
			_ = c.Process.Signal(syscall.SIGTERM)
			_ = c.Wait()
		}
	}
}

func (p *peer) cpu() float64 { return treeCPU(p.postfix.Process.Pid) + treeCPU(p.dovecot.Process.Pid) }

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

func waitFor(addr string, patience time.Duration) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("nothing listens on %s", addr)
}

// treeCPU sums user and system time of a process, its living descendants and
// all children that were waited for, in seconds.
func treeCPU(pid int) float64 {
	ticks := int64(0)
	children := map[int][]int{}
	times := map[int]int64{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], id)
		for _, f := range fields[11:15] {
			n, _ := strconv.ParseInt(f, 10, 64)
			times[id] += n
		}
	}
	for todo := []int{pid}; len(todo) > 0; todo = todo[1:] {
		ticks += times[todo[0]]
		todo = append(todo, children[todo[0]]...)
	}
	return float64(ticks) / 100
}

// rss returns the resident memory of a process in octets.
func rss(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// imapCount sums STATUS MESSAGES of INBOX over accounts.
func imapCount(addr, userFormat, password string, accounts int) (int, error) {
	total := 0
	for i := range accounts {
		n, err := imapMessages(addr, fmt.Sprintf(userFormat, i), password)
		if err != nil {
			return 0, fmt.Errorf("count of account %d: %w", i, err)
		}
		total += n
	}
	return total, nil
}

func imapMessages(addr, user, password string) (int, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(c)
	if _, err := fmt.Fprintf(c, "a LOGIN %s %s\r\nb STATUS INBOX (MESSAGES)\r\nc LOGOUT\r\n", user, password); err != nil {
		return 0, err
	}
	count := -1
	for {
		line, err := in.ReadString('\n')
		if _, after, ok := strings.Cut(line, "(MESSAGES "); ok {
			count, _ = strconv.Atoi(strings.TrimRight(after, ")\r\n"))
		}
		if strings.HasPrefix(line, "a NO") || strings.HasPrefix(line, "b NO") {
			return 0, errors.New(strings.TrimSpace(line))
		}
		if err == io.EOF || strings.HasPrefix(line, "c ") {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if count < 0 {
		return 0, errors.New("no answer to STATUS")
	}
	return count, nil
}
