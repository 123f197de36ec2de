package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/emersion/go-imap/v2"
)

// counts are fields neomutt adds to what it writes to a Maildir.
var counts = regexp.MustCompile(`(?m)^(Content-Length|Lines): \d+\n`)

// useNeomutt sends as a shell script does, then reads, flags, copies, moves
// and deletes at its screen by keys, with its cache of headers.
func useNeomutt(p *post) {
	config := func(name string) string {
		scheme := p.one("s", "", "")
		return p.file("neomuttrc", fmt.Sprintf(`set my_pw="%[1]s"
set charset=utf-8 send_charset="us-ascii:iso-8859-1:iso-2022-jp:gb18030:utf-8" allow_8bit=yes
set from="%[2]s" realname="%[3]s" hostname="client.example"
set ssl_starttls=%[4]s ssl_force_tls=%[4]s certificate_file=%[5]s/ca.pem ssl_ca_certificates_file=%[5]s/ca.pem
set smtp_url="smtp%[6]s://%[7]s@localhost:%[8]s/" smtp_pass=$my_pw smtp_authenticators="plain"
set imap_user="%[2]s" imap_pass=$my_pw imap_authenticators="plain:login"
set folder="imap%[6]s://localhost:%[9]s/" spoolfile="imap%[6]s://localhost:%[9]s/INBOX"
set header_cache="%[5]s/cache/headers/" message_cachedir="%[5]s/cache/messages/" tmpdir="%[5]s"
set sort=mailbox-order copy=no delete=yes move=no confirmappend=no confirmcreate=no wait_key=no quit=yes resolve=no mark_old=no
bind editor <space> noop
`, password, p.me, name, p.one("yes", "yes", "no"), p.home, scheme, strings.ReplaceAll(p.me, "@", "%40"), p.port(p.smtpAt), p.port(p.imapAt)))
	}
	for _, dir := range []string{"cache/headers", "cache/messages"} {
		if err := os.MkdirAll(filepath.Join(p.home, dir), 0o700); err != nil {
			p.t.Fatal(err)
		}
	}
	var want []string
	for _, x := range []struct{ name, subject, text string }{
		{"Jörg Groß", "Schöne Grüße aus Köln", "Viele Grüße"}, {"山田 太郎", "旅行の写真", "こんにちは、世界。"}, {"王小明", "会议记录 你好", "你好，世界。"},
	} {
		p.run([]byte(x.text+"\n"), "neomutt", "-n", "-F", config(x.name), "-s", x.subject, p.friend)
		want = append(want, x.name+": "+x.subject)
	}
	if got := p.shown(p.friend, "INBOX"); !slices.Equal(got, want) {
		p.t.Errorf("arrived %q, sent %q", got, want)
	}

	rc := config("Me")
	sent := letters("a@else.example", p.me)
	p.deliver(p.me, sent)
	box := p.maildir("copies")
	press := func(keys string) {
		p.t.Helper()
		p.atTerminal(p.command("neomutt", "-n", "-F", rc, "-e", fmt.Sprintf("push %q", keys)))
	}
	press("<first-entry><flag-message><next-entry><copy-message>" + box + "<enter><next-entry><save-message>=草稿箱<enter><next-entry><delete-message><sync-mailbox><exit>")
	copies := maildirFiles(p.t, box)
	for name, content := range copies {
		copies[name] = counts.ReplaceAll(content, nil)
	}
	kept(p.t, copies, texts(sent[1:2]))
	p.received(p.me, "草稿箱", sent[2:3])
	p.received(p.me, "INBOX", sent[:2])
	for content, flags := range messages(p.t, p.imap(p.me), "INBOX") {
		if isFirst := strings.Contains(content, sent[0].id); slices.Contains(flags, imap.FlagFlagged) != isFirst {
			p.t.Errorf("flags %q of %q", flags, first([]byte(content)))
		}
	}
	// The second time the headers come from the cache.
	if cached, err := filepath.Glob(p.home + "/cache/headers/*"); err != nil || len(cached) == 0 {
		p.t.Errorf("no cache of headers: %q %v", cached, err)
	}
	press("<first-entry><save-message>=Entwürfe/Größe<enter><next-entry><save-message>=旅行の写真 & more/子<enter><sync-mailbox><exit>")
	p.received(p.me, "INBOX", nil)
	p.received(p.me, "Entwürfe/Größe", sent[:1])
	p.received(p.me, "旅行の写真 & more/子", sent[1:2])
	press("<change-folder>=草稿箱<enter><first-entry><save-message>=下書き<enter><sync-mailbox><exit>")
	p.received(p.me, "下書き", sent[2:3])
	p.listed(p.me)
	p.distrusts("", func() result {
		return p.end(p.command("neomutt", "-n", "-F", rc, "-s", "not sent", p.friend), []byte("not sent\n"))
	})
	if got := p.shown(p.friend, "INBOX"); !slices.Equal(got, want) {
		p.t.Errorf("arrived %q", got)
	}
}

// atTerminal runs a program that has a screen.
func (p *post) atTerminal(cmd *exec.Cmd) {
	p.t.Helper()
	near, far := terminal(p.t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = far, far, far
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	if err := far.Close(); err != nil {
		p.t.Fatal(err)
	}
	var screen bytes.Buffer
	_, _ = io.Copy(&screen, near) // ends with an error when nobody holds the other end
	if err := cmd.Wait(); err != nil {
		p.t.Fatalf("%q: %v\n%q", cmd.Args, err, tail(screen.String()))
	}
}

// terminal opens a pseudo terminal: the near end is ours, the far end the
// program's.
func terminal(t *testing.T) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = near.Close() }) // the test is over
	control := func(request uintptr, value unsafe.Pointer) {
		t.Helper()
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, near.Fd(), request, uintptr(value)); errno != 0 {
			t.Fatal(errno)
		}
	}
	var locked, number int32
	control(syscall.TIOCSPTLCK, unsafe.Pointer(&locked))
	control(syscall.TIOCGPTN, unsafe.Pointer(&number))
	size := [4]uint16{24, 80}
	control(syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}
