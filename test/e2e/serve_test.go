package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthorn/internal/testkit/daemon"
)

// Every field of the bootstrap file does what it says; data may be relative to
// the file.
func TestEveryFieldOfTheFileIsObeyed(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	issue(t, dir, "one.example")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	identity := fmt.Sprintf("user = %q\n", me.Username)
	file := filepath.Join(dir, "posthorn.toml")
	text := fmt.Sprintf(`data = "mail"
%s
proxies = ["127.0.0.0/8"]

[store]
engine = "sqlite"

[listen]
smtp = ["127.0.0.1:0", "127.0.0.1:0"]
lmtp = ["%[2]s/lmtp"]
imaps = ["127.0.0.1:0"]

[tls]
certificate = "%[2]s/cert.pem"
key = "%[2]s/key.pem"

[dns]
preferred = "127.0.0.1:5353"
alternate = "[::1]:5353"

[log]
format = "json"
level = "debug"
`, identity, dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	x := launch(t, serve(t, "--config", file))
	if len(x.addrs) != 3 || len(x.addrs["smtp"]) != 2 || x.addrs["lmtp"][0] != "unix:"+dir+"/lmtp" {
		t.Fatalf("listeners %v", x.addrs)
	}
	posthorn := daemon.Binary(t, false)
	command := func(args ...string) string {
		return must(t, []byte(daemon.Password+"\n"), posthorn, append(args, "--config", file)...)
	}
	command("domain", "add", "example.test")
	command("account", "add", demo, "--password-stdin")
	if _, err := os.Stat(filepath.Join(dir, "mail", "store")); err != nil {
		t.Errorf("data is not beside the file: %v", err)
	}

	// The proxy's word counts for who the client is.
	c := dial(t, "tcp", x.addrs["smtp"][1])
	if _, err := fmt.Fprintf(c, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n"); err != nil {
		t.Fatal(err)
	}
	c.expect("", "220")
	c.expect("HELO else.example", "250")
	c.expect("MAIL FROM:<a@else.example>", "250")
	c.expect("RCPT TO:<b@foreign.example>", "550")
	c.expect("QUIT", "221")
	contains(t, command("trace", "--client", "192.0.2.7"), "foreign.example")

	// LMTP at its path.
	l := dial(t, "unix", dir+"/lmtp")
	l.expect("", "220")
	l.expect("LHLO else.example", "250")
	l.expect("MAIL FROM:<>", "250")
	l.expect("RCPT TO:<"+demo+">", "250")
	l.expect("DATA", "354")
	l.expect("Subject: by lmtp\r\n\r\n.", "250 2.0.0")
	if info, err := os.Stat(dir + "/lmtp"); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the LMTP socket: %v %v", info.Mode(), err)
	}

	// The certificate of the file, and the new one soon after it was replaced.
	name := func() string {
		raw := dial(t, "tcp", x.addrs["imaps"][0])
		defer raw.Close()
		if _, err := fmt.Fprintf(raw, "PROXY TCP4 192.0.2.7 192.0.2.1 4712 993\r\n"); err != nil {
			t.Fatal(err)
		}
		c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		if err := c.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	if got := name(); got != "one.example" {
		t.Errorf("certificate of %s", got)
	}
	issue(t, dir, "two.example")
	until(t, "the new certificate", func() bool { return name() == "two.example" })

	for line := range strings.Lines(x.log.String()) {
		if !strings.HasPrefix(line, "{") {
			t.Errorf("a log line that is no JSON: %q", line)
		}
	}
	contains(t, x.log.String(), `"DEBUG"`)
	if took := x.stop(t); took > 10*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if _, err := os.Stat(dir + "/lmtp"); err == nil {
		t.Error("the LMTP socket is left behind")
	}
}

// issue writes a certificate and its key, the certificate last.
func issue(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{{"key.pem", "PRIVATE KEY", secret}, {"cert.pem", "CERTIFICATE", der}} {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path+".new", pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der}), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWrongFilesAreExplained(t *testing.T) {
	t.Parallel()
	posthorn := daemon.Binary(t, false)
	for _, tt := range []struct{ text, say string }{
		{"data = \"d\"\ndatta = \"x\"\n", `line 2: unknown field "datta"`},
		{"[smtp]\nbanner = \"x\"\n", `unknown field "smtp"`},
		{"data = 7\n", "line 1"},
		{"data = \"d\n", "line 1"},
		{"[listen]\nfax = [\"127.0.0.1:0\"]\n", `no listener is called "fax"`},
		{"[listen]\nsmtp = \"127.0.0.1:0\"\n", "line 2"},
		{"[listen]\nsmtp = [\"25\"]\n", "127.0.0.1:2525"},
		{"[listen]\nsmtp = []\n", "nothing to listen on"},
		{"proxies = [\"everybody\"]\n", "line 1"},
		{"[tls]\ncertificate = \"/x.pem\"\n", "belong together"},
		{"[tls]\ncertificate = \"/nowhere/x.pem\"\nkey = \"/nowhere/k.pem\"\n", "/nowhere/x.pem"},
		{"[dns]\npreferred = \"dns.example\"\n", "dns.preferred"},
		{"[log]\nlevel = \"loud\"\n", "log.level"},
		{"[log]\nformat = \"xml\"\n", "log.format"},
		{"[store]\nengine = \"mysql\"\n", "sqlite or postgresql"},
		{"[store]\nengine = \"postgresql\"\n", "store.dsn"},
		{"[store]\ndsn = \"host=x\"\n", "store.engine"},
		{"user = \"nobody-of-that-name\"\n", "nobody-of-that-name"},
		{"[listen]\nsmtp = [\"127.0.0.1:0\"]\n", "no field data"},
	} {
		if !strings.Contains(tt.say, "no field data") && !strings.HasPrefix(tt.text, "data") {
			tt.text = "data = \"d\"\n" + tt.text
			tt.say = strings.NewReplacer("line 1", "line 2", "line 2", "line 3").Replace(tt.say)
		}
		if !strings.Contains(tt.text, "[listen]") {
			tt.text += "[listen]\nsmtp = [\"127.0.0.1:0\"]\n"
		}
		file := write(t, "posthorn.toml", []byte(tt.text))
		cmd := serve(t, "--config", file)
		r := run(t, nil, posthorn, cmd.Args[1:]...)
		if r.code != 1 || !strings.Contains(r.err, tt.say) || strings.Contains(r.err, "goroutine ") {
			t.Errorf("%s\nexit %d, want %q:\n%s", tt.text, r.code, tt.say, tail(r.err))
		}
	}
	r := run(t, nil, posthorn, "serve", "--config", "/nowhere/posthorn.toml")
	if r.code != 1 || !strings.Contains(r.err, "/nowhere/posthorn.toml does not exist") {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}

// As root, ports below 1024 open and then nothing of root is left.
func TestRootIsGivenUp(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		missing(t, "root")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		missing(t, "the user nobody")
	}
	uid, err := strconv.Atoi(nobody.Uid)
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o755, data: 0o700} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}

	listen := "smtp=" + freeBelow1024(t)
	posthorn := daemon.Binary(t, false)
	r := run(t, nil, posthorn, "serve", "--data", data, "--listen", listen)
	if r.code != 1 || !strings.Contains(r.err, "--user") {
		t.Errorf("as root without a user: exit %d %s", r.code, r.err)
	}
	r = run(t, nil, posthorn, "serve", "--data", data, "--listen", listen, "--user", "nobody")
	if r.code != 1 || !strings.Contains(r.err, "chown") {
		t.Errorf("with root's folder: exit %d %s", r.code, r.err)
	}
	if err := os.Chown(data, uid, -1); err != nil {
		t.Fatal(err)
	}
	x := launch(t, serve(t, "--data", data, "--listen", listen, "--user", "nobody"))
	dial(t, "tcp", x.addrs["smtp"][0]).expect("", "220")
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", x.cmd.Process.Pid))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("threads %q: %v", tasks, err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread ended meanwhile
		}
		for _, want := range []string{"Uid", "Gid"} {
			id := map[string]string{"Uid": nobody.Uid, "Gid": nobody.Gid}[want]
			contains(t, string(text), fmt.Sprintf("%s:\t%s\t%[2]s\t%[2]s\t%[2]s\n", want, id))
		}
		contains(t, string(text), "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "Groups:\t"+nobody.Gid+" \n")
	}
	// Root administers it all the same.
	contains(t, must(t, nil, posthorn, "status", "--data", data), "running since")
	x.stop(t)
}

// freeBelow1024 is an address with a low port nobody uses.
func freeBelow1024(t *testing.T) string {
	t.Helper()
	for port := 1023; port > 600; port-- {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", addr); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return addr
		}
	}
	t.Fatal("no port below 1024 is free")
	return ""
}

// systemd opens the sockets and hands them over (sd_listen_fds).
func TestSocketsOfSystemdAreTaken(t *testing.T) {
	t.Parallel()
	var files []*os.File
	var addrs []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, l.Addr().String())
		files = append(files, f)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	inner := serve(t, "--data", t.TempDir())
	// LISTEN_PID has to be the server's own, which exec keeps.
	cmd := exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, inner.Args...)...)
	cmd.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_FDNAMES=smtp:imap")
	cmd.ExtraFiles = files
	x := launch(t, cmd)
	if len(x.addrs) != 2 || x.addrs["smtp"][0] != addrs[0] || x.addrs["imap"][0] != addrs[1] {
		t.Errorf("listeners %v, handed over %v", x.addrs, addrs)
	}
	dial(t, "tcp", addrs[0]).expect("", "220")
	dial(t, "tcp", addrs[1]).expect("", "* OK")
	for _, f := range files {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	x.stop(t)
}

// reliability.md row 5: a stop waits for nobody longer than it must, and says
// goodbye.
func TestStopWithOpenSessionsIsQuick(t *testing.T) {
	t.Parallel()
	s := start(t, "--plaintext-login")
	idle := dial(t, "tcp", s.Addr("smtp"))
	idle.expect("", "220")
	idle.expect("EHLO else.example", "250")

	half := dial(t, "tcp", s.Addr("smtp"))
	half.expect("", "220")
	half.expect("HELO else.example", "250")
	half.expect("MAIL FROM:<a@else.example>", "250")
	half.expect("RCPT TO:<"+demo+">", "250")
	half.expect("DATA", "354")
	if _, err := fmt.Fprint(half, "Subject: half\r\n\r\nand no end"); err != nil {
		t.Fatal(err)
	}

	mailbox := dial(t, "tcp", s.Addr("imap"))
	mailbox.expect("", "* OK")
	if _, err := fmt.Fprintf(mailbox, "a LOGIN %s %q\r\nb SELECT INBOX\r\nc IDLE\r\n", demo, daemon.Password); err != nil {
		t.Fatal(err)
	}
	for !strings.HasPrefix(mailbox.say(""), "+ ") {
	}
	pop := dial(t, "tcp", s.Addr("pop3"))
	pop.expect("", "+OK")
	pop.expect("USER "+demo, "+OK")
	pop.expect("PASS "+daemon.Password, "+OK")
	quiet := dial(t, "tcp", s.Addr("imaps")) // never begins its handshake
	_ = quiet

	begin := time.Now()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("stopping took %v", took)
	}
	idle.expect("", "421 ")
	if rest, _ := io.ReadAll(half.in); strings.Contains(string(rest), "250") { // cut off, with 421 or without
		t.Errorf("half a message is answered %q", rest)
	}
	mailbox.expect("", "* BYE")
	s.Daemon = s.Again()
	if len(inboxOf(t, s, demo)) != 0 {
		t.Error("half a message was kept")
	}
}
