package scan

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"posthorn/internal/base/mail"
)

// rspamdRules are the rules of the test: words that score, and one that
// answers in a milter's manner.
const rspamdRules = `
local function word(name, score)
  rspamd_config['WORD_' .. name] = {
    callback = function(task)
      if tostring(task:get_content()):find('word-' .. name:lower(), 1, true) then return true, 'seen' end
      return false
    end, score = score, group = 'test' }
end
word('GREY', 4.5)
word('MARK', 7.0)
word('SUBJECT', 10.0)
word('REJECT', 20.0)
rspamd_config.SOFT = { callback = function(task)
  if tostring(task:get_content()):find('word-soft', 1, true) then
    task:set_pre_result('soft reject', 'Try again later, %s')
    return true
  end
end, score = 0.0, group = 'test' }
rspamd_config.SESSION = { callback = function(task)
  local from, rcpts = task:get_from('smtp'), task:get_recipients('smtp')
  local rcpt = {}
  for _, r in ipairs(rcpts or {}) do table.insert(rcpt, r.addr) end
  return true, 1.0, { from and from[1].addr or 'null', table.concat(rcpt, ' '), tostring(task:get_ip()), task:get_helo() or '',
    task:get_hostname() or '', task:get_user() or '', tostring(task:get_queue_id()) }
end, score = 0.0, group = 'test' }
rspamd_config.FIELDS = { callback = function(task)
  if tostring(task:get_content()):find('word-fields', 1, true) then
    task:set_milter_reply({ add_headers = { ['X-One'] = 'plain', ['X-Two'] = { value = 'first', order = 0 } }, remove_headers = { ['X-Old'] = 0 } })
    return true
  end
end, score = 0.0, group = 'test' }
`

// rspamd starts a real one that knows only the rules of the test and asks no
// name server.
func rspamd(t testing.TB) (r *Rspamd, filter MilterOptions) {
	t.Helper()
	dir := folder(t)
	socket := filepath.Join(dir, "socket")
	files := map[string]string{
		"rules.lua": rspamdRules,
		"tld":       "test\nexample\n", // the real list takes seconds to compile
		"rspamd.conf": strings.ReplaceAll(`
options {
  pidfile = "DIR/pid"; tempdir = "DIR"; hs_cache_dir = "DIR"; cache_file = "DIR/cache"; history_file = "DIR/history"; url_tld = "DIR/tld";
  filters = ""; disable_hyperscan = true; local_addrs = []; max_message = 1M;
  dns { nameserver = ["127.0.0.1:1"]; timeout = 0.05s; retransmits = 1; }
}
logging { type = "console"; level = "notice"; }
lua = "DIR/rules.lua";
worker "normal" { bind_socket = "DIR/socket mode=0600"; count = 1; }
worker "rspamd_proxy" { bind_socket = "DIR/milter mode=0600"; milter = yes; timeout = 60s; count = 1;
  upstream "local" { default = yes; self_scan = yes; } }
actions { reject = 15; rewrite_subject = 9; add_header = 6; greylist = 4; subject = "SPAM: %s"; }
`, "DIR", dir),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-f", "-c", filepath.Join(dir, "rspamd.conf")}
	if os.Getuid() == 0 {
		args = append(args, "-i") // stay root: nobody else enters the folder
	}
	began := time.Now()
	d := start(t, dir, socket, "rspamd", args...)
	t.Logf("rspamd listens after %s with %s", time.Since(began).Round(time.Millisecond), d.resident(t))
	var err error
	r, err = NewRspamd(RspamdOptions{URL: "unix:" + socket, Dial: dialer, Timeout: time.Minute, Width: 2, Queue: 10})
	if err != nil {
		t.Fatal(err)
	}
	return r, MilterOptions{Name: "rspamd", Endpoint: Endpoint{"unix", filepath.Join(dir, "milter")}, Dial: dialer, Default: FallbackTempFail, MaxBody: 1 << 20,
		ConnectTimeout: time.Minute, CommandTimeout: time.Minute, ContentTimeout: time.Minute}
}

func address(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// about is a message with a text, as a session would hand it in.
func about(t *testing.T, text string) *Message {
	content := "From: Bob <b@example.test>\r\nSubject: hello\r\n\r\n" + text + "\r\n"
	return &Message{
		Content: strings.NewReader(content), Size: int64(len(content)),
		Sender: address(t, "b@example.test"), Recipients: []mail.Address{address(t, "x@example.test"), address(t, "y@example.test")},
		Client: netip.MustParseAddr("192.0.2.7"), Helo: "client.example", Hostname: "host.example", Login: "bob", QueueID: "q1",
	}
}

func TestRealRspamdJudges(t *testing.T) {
	t.Parallel()
	r, filter := rspamd(t)
	if err := r.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]Score{
		"nothing":      {Action: ActionNone},
		"word-grey":    {Action: ActionGreylist, Score: 4.5},
		"word-mark":    {Action: ActionAddHeader, Score: 7},
		"word-subject": {Action: ActionSubject, Score: 10, Subject: "SPAM: hello"},
		"word-reject":  {Action: ActionReject, Score: 20},
		"word-soft":    {Action: ActionSoftReject, Reply: "Try again later, %s"},
	} {
		s, err := r.Scan(t.Context(), about(t, text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if s.Action != want.Action || s.Score != want.Score || s.Required != 15 || s.Subject != want.Subject || s.Reply != want.Reply {
			t.Errorf("%s: %+v", text, s)
		}
	}
	s, err := r.Scan(t.Context(), about(t, "word-fields"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(s.Edits.Header([]byte("A: 1\r\nX-Old: 1\r\n\r\n"))); got != "X-Two: first\r\nA: 1\r\nX-One: plain\r\n\r\n" {
		t.Errorf("fields: %q", got)
	}
	for _, y := range s.Symbols {
		if got := strings.Join(y.Options, "|"); y.Name == "SESSION" && got != "b@example.test|x@example.test y@example.test|192.0.2.7|client.example|host.example|bob|q1" {
			t.Errorf("session: %s", got)
		}
	}
	long := about(t, strings.Repeat("0123456789abcde\n", 2<<20/16))
	if s, err := r.Scan(t.Context(), long); !errors.Is(err, ErrDown) { // it hangs up, hence MaxSize
		t.Errorf("too large: %+v, %v", s, err)
	}
	r.o.MaxSize = 1 << 20
	if s, err := r.Scan(t.Context(), about(t, strings.Repeat("x", 1<<20))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large to be sent: %+v, %v", s, err)
	}
	t.Run("as a milter", func(t *testing.T) { rspamdAsMilter(t, filter) })
}

// rspamdAsMilter asks the same rspamd by the milter protocol.
func rspamdAsMilter(t *testing.T, filter MilterOptions) {
	s := NewMilters(filter).Session()
	defer s.Close()
	s.Macro("i", "q1")
	talk(t, s, "helo")
	header := []byte("From: Bob <b@example.test>\r\nSubject: hello\r\nX-Old: 1\r\n\r\n")
	for _, c := range []struct {
		text   string
		action MilterAction
		code   int
		header string // of the result; "" for unchanged
	}{
		{"nothing", MilterPass, 0, ""},
		{"word-reject", MilterReject, 554, ""},
		{"word-soft", MilterTempFail, 451, ""},
		{"word-fields", MilterPass, 0, "X-Two: first\r\nFrom: Bob <b@example.test>\r\nSubject: hello\r\nX-One: plain\r\n\r\n"},
		{"word-subject", MilterPass, 0, "From: Bob <b@example.test>\r\nSubject: SPAM: hello\r\nX-Old: 1\r\n\r\n"},
	} {
		ctx := t.Context()
		s.Mail(ctx, address(t, "b@example.test"))
		s.Rcpt(ctx, address(t, "x@example.test"))
		s.Data(ctx)
		a, err := s.Content(ctx, header, section(c.text+"\r\n"))
		if err != nil || s.Err() != nil || a.Action != c.action || a.Reply.Code != c.code {
			t.Errorf("%s: %+v, %v, %v", c.text, a, err, s.Err())
		}
		if got := string(a.Edits.Header(header)); c.header != "" && got != c.header {
			t.Errorf("%s: header %q", c.text, got)
		}
	}
}

// answering is an HTTP server in memory that reads a request and writes this.
func answering(response string) Dial {
	return pipe(func(c net.Conn) {
		q, err := http.ReadRequest(bufio.NewReader(c))
		if err == nil {
			_, err = io.Copy(io.Discard, q.Body)
		}
		if err == nil {
			_, _ = io.WriteString(c, response)
		}
	})
}

func ok(body string) Dial {
	return answering(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
}

func TestRspamdFailuresAreToldApart(t *testing.T) {
	t.Parallel()
	disk := errors.New("disk")
	many := `{"score":1,"action":"reject","milter":{"add_headers":{"X":[` + strings.Repeat(`"a",`, 60) + `"a"]}}}`
	for _, x := range []struct {
		name    string
		dial    Dial
		content io.Reader
		err     error
	}{
		{"down", refuse, nil, ErrDown},
		{"hangs", pipe(hang), nil, context.DeadlineExceeded},
		{"takes nothing", pipe(func(net.Conn) { time.Sleep(time.Hour) }), nil, context.DeadlineExceeded},
		{"hangs up", pipe(func(net.Conn) {}), nil, ErrDown},
		{"hangs up midway", answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), nil, ErrDown},
		{"speaks no HTTP", answering("220 ready\r\n"), nil, ErrDown},
		{"no JSON", ok("hello"), nil, ErrAnswer},
		{"no score", ok("{}"), nil, ErrAnswer},
		{"too much", ok(`{"score":1,"x":"` + strings.Repeat("x", maxAnswer) + `"}`), nil, ErrAnswer},
		{"error", answering("HTTP/1.1 500 x\r\nContent-Length: 2\r\n\r\n{}"), nil, ErrScanner},
		{"too large", answering("HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n"), nil, ErrTooLarge},
		{"wrong password", answering("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n"), nil, ErrScanner},
		{"redirect", answering("HTTP/1.1 302 x\r\nLocation: http://other.example/\r\nContent-Length: 0\r\n\r\n"), nil, ErrScanner},
		{"injected line", ok(`{"score":1,"milter":{"add_headers":{"X":"a\r\nBcc: c@example.test"}}}`), nil, ErrAnswer},
		{"injected name", ok(`{"score":1,"milter":{"add_headers":{"X: a\r\nY":"a"}}}`), nil, ErrAnswer},
		{"too many fields", ok(many), nil, ErrAnswer},
		{"message cannot be read", pipe(hang), iotest.ErrReader(disk), disk},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, err := NewRspamd(RspamdOptions{URL: "http://rspamd.example:11333/", Dial: x.dial, Timeout: time.Minute, Width: 1})
				if err != nil {
					t.Fatal(err)
				}
				m := about(t, strings.Repeat("text", 100_000))
				if x.content != nil {
					m.Content = x.content
				}
				if s, err := r.Scan(t.Context(), m); !errors.Is(err, x.err) || s != nil {
					t.Errorf("%+v, %v", s, err)
				}
				if r.gate.Inside() != 0 {
					t.Error("a place is still taken")
				}
				time.Sleep(2 * time.Hour) // until the scanner has ended
			})
		})
	}
}

func TestRspamdAnswersAreBoundedAndCleaned(t *testing.T) {
	t.Parallel()
	var symbols []string
	for i := range 1000 {
		symbols = append(symbols, fmt.Sprintf(`"S%d\n":{"score":%d,"options":[%s"a\u0007"]}`, i, i%500, strings.Repeat(`"o",`, 100)))
	}
	s, err := parseScore([]byte(`{"score":-1.5,"required_score":5,"action":"rewrite subject","subject":"a\r\nb","messages":{"smtp_message":"no\r\n250 ok"},
		"milter":{"remove_headers":{"X-Old":2},"add_headers":{"X-B":{"value":"v","order":-1},"X-A":["1",{"value":"2\n\t3","order":1}]}},"symbols":{` + strings.Join(symbols, ",") + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	if s.Score != -1.5 || s.Subject != "a??b" || s.Reply != "no??250 ok" || len(s.Symbols) != maxSymbols || s.Symbols[0].Score != 499 {
		t.Errorf("%+v", s)
	}
	if y := s.Symbols[0]; strings.ContainsAny(y.Name, "\n") || len(y.Options) != maxOptions {
		t.Errorf("symbol %+v", y)
	}
	if got := fmt.Sprint(s.Edits); got != fmt.Sprint(Edits{
		{Kind: DeleteField, Index: 2, Name: "X-Old"}, {Name: "X-A", Value: "1"},
		{Kind: InsertField, Index: 1, Name: "X-A", Value: "2\r\n\t3"}, {Name: "X-B", Value: "v"},
	}) {
		t.Errorf("edits %s", got)
	}
}

func TestStrangersCannotPutFieldsIntoTheRequest(t *testing.T) {
	t.Parallel()
	r, err := NewRspamd(RspamdOptions{URL: "http://127.0.0.1:1", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	h := r.header(&Message{Helo: "x\r\nPassword: y", Login: "a\x00b", Client: netip.MustParseAddr("::ffff:192.0.2.1"), Size: -1})
	if h.Get("Helo") != "x??Password: y" || h.Get("User") != "a?b" || h.Get("IP") != "192.0.2.1" || h.Get("From") != "<>" || h.Get("Password") != "p" {
		t.Errorf("%v", h)
	}
}

func TestRspamdNeedsAnAddress(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"", "127.0.0.1:11333", "ftp://h/", "http://", "unix:", "http://[::1"} {
		if _, err := NewRspamd(RspamdOptions{URL: u}); err == nil {
			t.Errorf("%q is taken", u)
		}
	}
}

func FuzzParseScore(f *testing.F) {
	f.Add([]byte(`{"score":1,"action":"reject","symbols":{"A":{"score":1,"options":["x"]}},"milter":{"add_headers":{"X":["a",{"value":"b"}]}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := parseScore(body)
		if err != nil {
			return
		}
		if len(s.Edits) > maxFields || len(s.Symbols) > maxSymbols || strings.ContainsAny(s.Subject+s.Reply, "\r\n\x00") {
			t.Fatalf("%+v", s)
		}
	})
}
