package network

import (
	"fmt"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
	"posthorn/internal/testkit/need"
)

// postfix is Debian's Postfix on a host, with a mailbox in Maildir form for bob.
type postfix struct {
	h      *host
	dir    string
	domain string
}

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.%[2]s
mydestination =
mynetworks = 127.0.0.0/8 10.77.0.1/32 10.77.%[3]s.1/32
inet_protocols = ipv4
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
virtual_mailbox_domains = %[2]s
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = texthash:%[1]s/boxes
virtual_uid_maps = static:8
virtual_gid_maps = static:8
virtual_minimum_uid = 8
smtpd_tls_cert_file = %[1]s/tls/cert.pem
smtpd_tls_key_file = %[1]s/tls/key.pem
smtpd_tls_security_level = may
smtp_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = %[1]s/run/auth-client
smtpd_sasl_security_options = noanonymous
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
alias_maps =
`

const postfixMaster = `smtp inet n - n - 20 smtpd
submission inet n - n - 20 smtpd -o smtpd_tls_security_level=encrypt
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

// relayUser may send through the Postfix after login.
const relayUser, relayPassword = "smart", "only for the relay"

// dovecotConf is a Dovecot that only answers Postfix's question about logins.
const dovecotConf = `protocols =
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/dovecot.log
ssl = no
auth_mechanisms = scram-sha-256 plain login
passdb {
  driver = passwd-file
  args = scheme=PLAIN %[1]s/users
}
userdb {
  driver = static
  args = uid=mail gid=mail home=/nowhere
}
service auth {
  unix_listener auth-client {
    mode = 0666
  }
}
`

// postfix starts one on the host for the domain.
func (h *host) postfix(domain string) *postfix {
	t := h.w.t
	t.Helper()
	for _, bin := range []string{"/usr/lib/postfix/sbin/master", "/usr/sbin/dovecot"} {
		if _, err := os.Stat(bin); err != nil {
			need.Missing(t, bin)
		}
	}
	h.known(domain)
	p := &postfix{h: h, dir: filepath.Join(h.w.dir, "postfix-"+h.name), domain: domain}
	for _, d := range []string{"conf", "queue/pid", "data", "run", "state", "mail", "tls"} {
		must(t, os.MkdirAll(filepath.Join(p.dir, d), 0o755))
	}
	certificate(t, filepath.Join(p.dir, "tls"), "mail."+domain)
	for name, text := range map[string]string{
		"conf/main.cf": fmt.Sprintf(postfixMain, p.dir, domain, strings.Split(h.v4, ".")[2]), "conf/master.cf": postfixMaster, "conf/dynamicmaps.cf": "",
		"boxes": "bob@" + domain + " bob/\n", "dovecot.conf": fmt.Sprintf(dovecotConf, p.dir), "users": relayUser + ":{PLAIN}" + relayPassword + "\n",
	} {
		must(t, os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644))
	}
	p.folders()
	p.start("/usr/sbin/dovecot", "-F", "-c", p.dir+"/dovecot.conf")
	p.start("/usr/lib/postfix/sbin/master", "-c", p.dir+"/conf", "-d")
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(p.dir + "/mail.log")
			t.Logf("Postfix says:\n%s", log)
		}
	})
	eventually(t, 20*time.Second, "Postfix answers", func() bool {
		c, err := net.Dial("tcp", h.addr(25))
		return err == nil && c.Close() == nil
	})
	return p
}

// folders makes what "postfix check" would make.
func (p *postfix) folders() {
	p.h.w.run("sh", "-c", `cd "$1/queue" && mkdir active bounce corrupt defer deferred flush hold incoming private saved trace public maildrop &&
chown postfix active bounce corrupt defer deferred flush hold incoming private saved trace ../data &&
chown postfix:postdrop public maildrop && chmod 710 public && chmod 730 maildrop && chmod 755 "$1" && chown mail:mail ../mail`, "sh", p.dir)
}

// start runs a daemon until the end of the test.
func (p *postfix) start(name string, args ...string) {
	t := p.h.w.t
	c := p.h.command(name, args...)
	c.Stderr = os.Stderr
	daemon.InGroup(c)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) } // it ends its children
	must(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM) // it may be gone already
		_ = c.Wait()
		daemon.EndGroup(c)
	})
}

// bob are the messages in bob's mailbox.
func (p *postfix) bob() []*mail.Message {
	files, err := filepath.Glob(filepath.Join(p.dir, "mail", "bob", "new", "*"))
	must(p.h.w.t, err)
	var all []*mail.Message
	for _, name := range files {
		f, err := os.Open(name)
		must(p.h.w.t, err)
		p.h.w.t.Cleanup(func() { _ = f.Close() }) // read only
		m, err := mail.ReadMessage(f)
		must(p.h.w.t, err)
		all = append(all, m)
	}
	return all
}

// certificate makes a self-signed one.
func certificate(t *testing.T, dir, name string) {
	t.Helper()
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN="+name,
		"-addext", "subjectAltName=DNS:"+name, "-keyout", dir+"/key.pem", "-out", dir+"/cert.pem").CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
}

// fingerprint is that of its certificate.
func (p *postfix) fingerprint() string {
	out, err := exec.Command("openssl", "x509", "-in", p.dir+"/tls/cert.pem", "-noout", "-fingerprint", "-sha256").Output()
	must(p.h.w.t, err)
	_, digits, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
	return digits
}
