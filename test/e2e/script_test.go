package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/rogpeppe/go-internal/testscript"

	"posthorn/internal/testkit/daemon"
)

// Every file of testdata/script is an administrator's session. Besides what
// testscript knows, it may say:
//
//	server [ARG...]            start quickstart on $POSTHORN_DATA with these arguments
//	server stop|kill           end it
//	mail [-as LOGIN] [-port LISTENER] FROM TO...
//	                           send a message and print the replies that count;
//	                           with ! the server has to refuse
//	inbox ADDRESS              print the subjects of its INBOX, oldest first
//	login ADDRESS [PASSWORD]   log in by IMAP
//	greeting                   print the first line of smtp
//	json                       the last output is JSON
//	id NAME                    keep the queue id of the last output in $NAME
//	until TEXT COMMAND...      repeat posthorn COMMAND until it prints the text
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			bin := t.TempDir()
			if err := os.Symlink(daemon.Binary(t, false), filepath.Join(bin, "posthorn")); err != nil {
				t.Fatal(err)
			}
			s := &script{t: t}
			testscript.Run(t, testscript.Params{Files: []string{file}, RequireExplicitExec: true, RequireUniqueNames: true,
				Cmds: s.commands(), Setup: func(e *testscript.Env) error {
					e.Setenv("PATH", bin+":"+e.Getenv("PATH"))
					e.Setenv("POSTHORN_DATA", filepath.Join(e.WorkDir, "data"))
					e.Setenv("TZ", "UTC")
					return nil
				}})
		})
	}
}

// script is one session: at most one server.
type script struct {
	t *testing.T
	d *daemon.Daemon
}

func (s *script) commands() map[string]func(*testscript.TestScript, bool, []string) {
	plain := func(f func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
		return func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("! does not go with this command")
			}
			f(ts, args)
		}
	}
	return map[string]func(*testscript.TestScript, bool, []string){
		"posthorn": s.posthorn, "mail": s.mail, "login": s.login,
		"server": plain(s.server), "inbox": plain(s.inbox), "greeting": plain(s.greeting),
		"json": plain(s.json), "id": plain(s.id), "until": plain(s.until),
	}
}

// posthorn is exec posthorn, for short.
func (s *script) posthorn(ts *testscript.TestScript, neg bool, args []string) {
	if err := ts.Exec("posthorn", args...); neg == (err == nil) {
		ts.Fatalf("posthorn %s: %v", strings.Join(args, " "), err)
	}
}

func (s *script) server(ts *testscript.TestScript, args []string) {
	switch {
	case len(args) == 1 && args[0] == "stop":
		ts.Check(s.d.Stop())
	case len(args) == 1 && args[0] == "kill":
		s.d.Kill()
	default:
		d, err := daemon.Try(s.t, daemon.Options{Data: ts.Getenv("POSTHORN_DATA"), Listen: doors(), Args: append([]string{"--plaintext-login"}, args...)})
		ts.Check(err)
		s.d = d
	}
}

func (s *script) mail(ts *testscript.TestScript, neg bool, args []string) {
	as, port := "", "smtp"
	for len(args) > 2 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-as":
			as, port = args[1], "submission"
		case "-port":
			port = args[1]
		}
		args = args[2:]
	}
	text, err := deliver(s.d.Addr(port), as, args[0], args[1:])
	if err != nil {
		text = err.Error()
	}
	_, werr := fmt.Fprintln(ts.Stdout(), text)
	ts.Check(werr)
	if neg == (err == nil) {
		ts.Fatalf("mail %s: %s", strings.Join(args, " "), text)
	}
}

// deliver sends a message and returns the last reply.
func deliver(addr, as, from string, to []string) (string, error) {
	c, err := smtp.Dial(addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if as != "" {
		if err := c.Auth(sasl.NewPlainClient("", as, daemon.Password)); err != nil {
			return "", reply(err)
		}
	}
	if err := c.Mail(strings.Trim(from, "<>"), nil); err != nil {
		return "", reply(err)
	}
	for _, r := range to {
		if err := c.Rcpt(r, nil); err != nil {
			return "", reply(err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return "", reply(err)
	}
	if _, err := fmt.Fprintf(w, "From: <%s>\r\nTo: <%s>\r\nSubject: from %s to %s\r\n\r\nHello.\r\n", strings.Trim(from, "<>"), to[0], from, to[0]); err != nil {
		return "", err
	}
	answer, err := w.CloseWithResponse()
	if err != nil {
		return "", reply(err)
	}
	return "250 " + answer.StatusText, c.Quit()
}

// reply writes go-smtp's error as the server said it.
func reply(err error) error {
	e, ok := err.(*smtp.SMTPError)
	if !ok {
		return err
	}
	return fmt.Errorf("%d %d.%d.%d %s", e.Code, e.EnhancedCode[0], e.EnhancedCode[1], e.EnhancedCode[2], e.Message)
}

func (s *script) inbox(ts *testscript.TestScript, args []string) {
	subjects, err := subjects(s.d.Addr("imap"), args[0])
	ts.Check(err)
	_, err = fmt.Fprint(ts.Stdout(), strings.Join(append(subjects, ""), "\n"))
	ts.Check(err)
}

// subjects reads the INBOX of an account.
func subjects(addr, who string) ([]string, error) {
	c, err := imapclient.DialInsecure(addr, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.Login(who, daemon.Password).Wait(); err != nil {
		return nil, err
	}
	box, err := c.Select("INBOX", &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil || box.NumMessages == 0 {
		return nil, err
	}
	all, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{Envelope: true}).Collect()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, m := range all {
		found = append(found, m.Envelope.Subject)
	}
	return found, c.Logout().Wait()
}

func (s *script) login(ts *testscript.TestScript, neg bool, args []string) {
	c, err := imapclient.DialInsecure(s.d.Addr("imap"), nil)
	ts.Check(err)
	defer c.Close()
	password := daemon.Password
	if len(args) > 1 {
		password = args[1]
	}
	if err := c.Login(args[0], password).Wait(); neg == (err == nil) {
		ts.Fatalf("login %s: %v", args[0], err)
	}
}

func (s *script) greeting(ts *testscript.TestScript, _ []string) {
	c, err := net.DialTimeout("tcp", s.d.Addr("smtp"), 10*time.Second)
	ts.Check(err)
	defer c.Close()
	line := make([]byte, 512)
	n, err := c.Read(line)
	ts.Check(err)
	_, err = ts.Stdout().Write(line[:n])
	ts.Check(err)
}

func (s *script) json(ts *testscript.TestScript, _ []string) {
	if out := ts.ReadFile("stdout"); !json.Valid([]byte(out)) {
		ts.Fatalf("no JSON: %s", out)
	}
}

var queued = regexp.MustCompile(`queued as (\w{26})`)

func (s *script) id(ts *testscript.TestScript, args []string) {
	found := queued.FindStringSubmatch(ts.ReadFile("stdout"))
	if found == nil {
		ts.Fatalf("no identifier in %q", ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], found[1])
}

func (s *script) until(ts *testscript.TestScript, args []string) {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec("posthorn", args[1:]...)
		if err == nil && strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("posthorn %s never printed %q: %v", strings.Join(args[1:], " "), args[0], err)
		}
	}
}
