package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/d--j/go-milter"
)

// backend is a real milter of the test: it notes what it hears and answers
// what the test tells it to.
type backend struct {
	milter.NoOpMilter
	world *backendWorld
}

type backendWorld struct {
	mu      sync.Mutex
	events  []string
	answers map[string]*milter.Response // by event
	atEnd   func(*milter.Modifier) error
}

func (b backend) hear(m *milter.Modifier, event string, args ...string) (*milter.Response, error) {
	w := b.world
	w.mu.Lock()
	defer w.mu.Unlock()
	text := strings.Join(append([]string{event}, args...), " ")
	for _, name := range []string{"j", "i", "{auth_authen}", "{client_addr}", "{mail_addr}", "{rcpt_addr}"} {
		if v, ok := m.Macros.GetEx(name); ok && event != "header" && event != "body" {
			text += " " + name + "=" + v
		}
	}
	w.events = append(w.events, text)
	if r, ok := w.answers[event]; ok {
		return r, nil
	}
	return milter.RespContinue, nil
}

func (b backend) Connect(host, family string, port uint16, addr string, m *milter.Modifier) (*milter.Response, error) {
	return b.hear(m, "connect", host, family, fmt.Sprint(port), addr)
}

func (b backend) Helo(name string, m *milter.Modifier) (*milter.Response, error) {
	return b.hear(m, "helo", name)
}

func (b backend) MailFrom(from, args string, m *milter.Modifier) (*milter.Response, error) {
	return b.hear(m, "mail", from, args)
}

func (b backend) RcptTo(to, args string, m *milter.Modifier) (*milter.Response, error) {
	if strings.HasPrefix(to, "bad") {
		return b.hear(m, "rcpt bad", to, args)
	}
	return b.hear(m, "rcpt", to, args)
}

func (b backend) Data(m *milter.Modifier) (*milter.Response, error) { return b.hear(m, "data") }

func (b backend) Header(name, value string, m *milter.Modifier) (*milter.Response, error) {
	return b.hear(m, "header", name+"="+value)
}

func (b backend) Headers(m *milter.Modifier) (*milter.Response, error) { return b.hear(m, "eoh") }

func (b backend) BodyChunk(p []byte, m *milter.Modifier) (*milter.Response, error) {
	return b.hear(m, "body", fmt.Sprintf("%d %.20q", len(p), p))
}

func (b backend) EndOfMessage(m *milter.Modifier) (*milter.Response, error) {
	if b.world.atEnd != nil {
		if err := b.world.atEnd(m); err != nil {
			return nil, err
		}
	}
	return b.hear(m, "eom")
}

func (b backend) Abort(m *milter.Modifier) error {
	_, err := b.hear(m, "abort")
	return err
}

// heard returns and forgets the events.
func (w *backendWorld) heard() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.events
	w.events = nil
	return e
}

// serve runs the milter on loopback.
func (w *backendWorld) serve(t *testing.T, o MilterOptions, options ...milter.Option) MilterOptions {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options = append([]milter.Option{milter.WithMilter(func() milter.Milter { return backend{world: w} }),
		milter.WithActions(milter.OptAddHeader | milter.OptChangeHeader | milter.OptQuarantine | milter.OptChangeFrom | milter.OptAddRcpt | milter.OptRemoveRcpt)}, options...)
	server := milter.NewServer(options...)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = l.Close() // the server closes it too
		<-served
	})
	if o.Name == "" {
		o.Name = "test"
	}
	o.Endpoint, o.Dial = Endpoint{"tcp", l.Addr().String()}, dialer
	o.ConnectTimeout, o.CommandTimeout, o.ContentTimeout = time.Minute, time.Minute, time.Minute
	return o
}

var client = netip.MustParseAddrPort("192.0.2.7:2525")

const testHeader = "From: a@example.test\r\nSubject: one\r\n two\r\n\r\n"

func section(s string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(s), 0, int64(len(s)))
}

// talk runs a session up to the stage, whose answer it returns; every step
// before must pass.
func talk(t *testing.T, s *MilterSession, stage string) Answer {
	t.Helper()
	ctx := t.Context()
	a, b := address(t, "a@example.test"), address(t, "b@example.test")
	for _, step := range []struct {
		stage string
		ask   func() Answer
	}{
		{"connect", func() Answer { return s.Connect(ctx, client, "host.example") }},
		{"helo", func() Answer { return s.Helo(ctx, "client.example") }},
		{"mail", func() Answer { return s.Mail(ctx, a, "SIZE=10", "BODY=8BITMIME") }},
		{"rcpt", func() Answer { return s.Rcpt(ctx, b) }},
		{"data", func() Answer { return s.Data(ctx) }},
	} {
		got := step.ask()
		if step.stage == stage {
			return got
		}
		if got.Action != MilterPass {
			t.Fatalf("%s: %+v", step.stage, got)
		}
	}
	return content(t, s, "body\r\n")
}

func content(t *testing.T, s *MilterSession, body string) Answer {
	t.Helper()
	a, err := s.Content(t.Context(), []byte(testHeader), section(body))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestMiltersHearTheWholeSession(t *testing.T) {
	t.Parallel()
	w := &backendWorld{}
	s := NewMilters(w.serve(t, MilterOptions{})).Session()
	defer s.Close()
	s.Macro("j", "mx.example.test")
	s.Macro("i", "q1")
	s.Macro("{auth_authen}", "bob\r\nx")
	if a := talk(t, s, "eom"); a.Action != MilterPass || len(a.Edits) > 0 {
		t.Errorf("%+v", a)
	}
	client := " {client_addr}=192.0.2.7"
	auth := "j=mx.example.test i=q1 {auth_authen}=bob??x {client_addr}=192.0.2.7 {mail_addr}=a@example.test"
	want := []string{
		"connect host.example tcp4 2525 192.0.2.7 j=mx.example.test" + client,
		"helo client.example j=mx.example.test" + client,
		"mail a@example.test SIZE=10 BODY=8BITMIME " + auth,
		"rcpt b@example.test  " + auth + " {rcpt_addr}=b@example.test",
		"data " + auth + " {rcpt_addr}=b@example.test",
		"header From=a@example.test", "header Subject=one\n two",
		"eoh " + auth + " {rcpt_addr}=b@example.test",
		`body 6 "body\r\n"`,
		"eom " + auth + " {rcpt_addr}=b@example.test",
	}
	if got := w.heard(); !slices.Equal(got, want) {
		t.Errorf("heard\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// An aborted message, an empty body and a long one in the same session.
	ctx := t.Context()
	s.Mail(ctx, address(t, "c@example.test"))
	s.Abort(ctx)
	for _, body := range []string{"", strings.Repeat("x", 100_000)} {
		s.Mail(ctx, address(t, "c@example.test"))
		s.Rcpt(ctx, address(t, "d@example.test"))
		s.Data(ctx)
		if a := content(t, s, body); a.Action != MilterPass {
			t.Errorf("%+v", a)
		}
	}
	var short []string
	for _, e := range w.heard() {
		if strings.HasPrefix(e, "body") {
			e = strings.Join(strings.Fields(e)[:2], "")
		}
		short = append(short, strings.Fields(e)[0])
	}
	if got := strings.Join(short, " "); got != "mail abort mail rcpt data header header eoh eom mail rcpt data header header eoh body65535 body34465 eom" {
		t.Errorf("heard %s", got)
	}
	if err := s.Err(); err != nil {
		t.Error(err)
	}
}

func TestMilterVerdictsAreTranslated(t *testing.T) {
	t.Parallel()
	custom, err := milter.RejectWithCodeAndReason(554, "5.7.9 go\naway")
	if err != nil {
		t.Fatal(err)
	}
	closing, err := milter.RejectWithCodeAndReason(421, "4.3.2 closing")
	if err != nil {
		t.Fatal(err)
	}
	for stage := range strings.FieldsSeq("connect helo mail rcpt data header eoh body eom") {
		for _, c := range []struct {
			response *milter.Response
			action   MilterAction
			reply    string
		}{
			{milter.RespAccept, MilterPass, ""},
			{milter.RespReject, MilterReject, "550 5.7.1 Command rejected"},
			{milter.RespTempFail, MilterTempFail, "451 4.7.1 Service unavailable, try again later"},
			{milter.RespDiscard, MilterDiscard, ""},
			{custom, MilterReject, "554 5.7.9 go / away"},
			{closing, MilterTempFail, "421 4.3.2 closing"},
		} {
			if c.action == MilterDiscard && (stage == "connect" || stage == "helo") {
				continue // there is nothing to discard yet
			}
			t.Run(stage+" "+c.action.String()+c.reply, func(t *testing.T) {
				t.Parallel()
				w := &backendWorld{answers: map[string]*milter.Response{stage: c.response}}
				s := NewMilters(w.serve(t, MilterOptions{})).Session()
				defer s.Close()
				a := talk(t, s, stage)
				text := ""
				if !a.Reply.IsZero() {
					text = a.Reply.String()
				}
				if a.Action != c.action || text != c.reply || a.Reply.Close != (a.Reply.Code == 421) || (a.Action == MilterPass) != (a.Reason == "") {
					t.Errorf("%+v", a)
				}
				if err := s.Err(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestAcceptedMessageIsNotShownFurther(t *testing.T) {
	t.Parallel()
	w := &backendWorld{answers: map[string]*milter.Response{"rcpt": milter.RespAccept}}
	s := NewMilters(w.serve(t, MilterOptions{})).Session()
	defer s.Close()
	talk(t, s, "helo")
	for range 2 {
		w.heard()
		ctx := t.Context()
		s.Mail(ctx, address(t, "a@example.test"))
		s.Rcpt(ctx, address(t, "b@example.test"))
		s.Data(ctx)
		if a := content(t, s, "x"); a.Action != MilterPass {
			t.Errorf("%+v", a)
		}
		got := strings.Join(w.heard(), "\n")
		if !strings.Contains(got, "rcpt b@") || strings.Contains(got, "data") || strings.Contains(got, "eom") {
			t.Errorf("heard %s", got)
		}
	}
}

func TestRefusedForwardPathLeavesTheOthers(t *testing.T) {
	t.Parallel()
	w := &backendWorld{answers: map[string]*milter.Response{"rcpt bad": milter.RespReject}}
	s := NewMilters(w.serve(t, MilterOptions{})).Session()
	defer s.Close()
	talk(t, s, "rcpt")
	if a := s.Rcpt(t.Context(), address(t, "bad@example.test")); a.Action != MilterReject {
		t.Errorf("%+v", a)
	}
	if a := s.Data(t.Context()); a.Action != MilterPass {
		t.Errorf("%+v", a)
	}
	if a := content(t, s, "x"); a.Action != MilterPass {
		t.Errorf("%+v", a)
	}
}

func TestDiscardLastsForTheMessage(t *testing.T) {
	t.Parallel()
	w := &backendWorld{answers: map[string]*milter.Response{"rcpt bad": milter.RespDiscard}}
	s := NewMilters(w.serve(t, MilterOptions{})).Session()
	defer s.Close()
	talk(t, s, "mail")
	ctx := t.Context()
	s.Rcpt(ctx, address(t, "bad@example.test"))
	for i, a := range []Answer{s.Rcpt(ctx, address(t, "b@example.test")), s.Data(ctx), content(t, s, "x")} {
		if a.Action != MilterDiscard || a.Filter != "test" {
			t.Errorf("%d: %+v", i, a)
		}
	}
	if a := s.Mail(ctx, address(t, "a@example.test")); a.Action != MilterPass {
		t.Errorf("next message: %+v", a)
	}
}

func TestMiltersSeeWhatThoseBeforeThemChanged(t *testing.T) {
	t.Parallel()
	first := &backendWorld{atEnd: func(m *milter.Modifier) error {
		return errors.Join(m.AddHeader("X-First", "a\n\tb"), m.ChangeHeader(1, "Subject", "new"), m.InsertHeader(0, "X-Top", "t"), m.ChangeHeader(1, "From", ""),
			m.ReplaceBody(strings.NewReader("other\nbody\r\n")), m.AddRecipient("<c@example.test>", ""), m.DeleteRecipient("<b@example.test>"),
			m.ChangeFrom("<>", ""), m.Quarantine("odd\x01"))
	}}
	second := &backendWorld{}
	all := milter.WithActions(milter.AllClientSupportedActionMasks)
	s := NewMilters(first.serve(t, MilterOptions{Name: "first", MaxBody: 1 << 20}, all), second.serve(t, MilterOptions{Name: "second"})).Session()
	defer s.Close()
	a := talk(t, s, "eom")
	if a.Action != MilterQuarantine || a.Filter != "first" || !strings.Contains(a.Reason, "odd?") {
		t.Fatalf("%+v, %v", a, s.Err())
	}
	want := "X-Top: t\r\nSubject: new\r\nX-First: a\r\n\tb\r\n\r\n"
	if got := string(a.Edits.Header([]byte(testHeader))); got != want {
		t.Errorf("header %q", got)
	}
	if body, ok := a.Edits.Body(); !ok || string(body) != "other\r\nbody\r\n" {
		t.Errorf("body %q", body)
	}
	var paths []string
	for _, e := range a.Edits {
		if e.Kind >= ChangeSender {
			paths = append(paths, fmt.Sprint(e.Kind, e.Address.Path()))
		}
	}
	if got := strings.Join(paths, " "); got != "6<c@example.test> 7<b@example.test> 5<>" {
		t.Errorf("paths %s", got)
	}
	seen := strings.Join(second.heard(), "\n")
	if !strings.Contains(seen, "header X-Top=t\nheader Subject=new\nheader X-First=a\n\tb\neoh") || !strings.Contains(seen, `body 13 "other\r\nbody\r\n"`) {
		t.Errorf("the second saw\n%s", seen)
	}
}

func TestMilterThatMustReplaceBodiesIsDownWithoutLeave(t *testing.T) {
	t.Parallel()
	w := &backendWorld{}
	s := NewMilters(w.serve(t, MilterOptions{Default: FallbackReject}, milter.WithActions(milter.OptChangeBody))).Session()
	defer s.Close()
	if a := talk(t, s, "connect"); a.Action != MilterReject || s.Err() == nil {
		t.Errorf("%+v", a)
	}
}

func TestUnwantedEventsAreNotSent(t *testing.T) {
	t.Parallel()
	w := &backendWorld{answers: map[string]*milter.Response{"body": milter.RespSkip}}
	quiet := milter.WithProtocols(milter.OptNoConnect | milter.OptNoHelo | milter.OptNoHeaders | milter.OptSkip | milter.OptNoMailReply | milter.OptNoEOH)
	s := NewMilters(w.serve(t, MilterOptions{}, quiet)).Session()
	defer s.Close()
	talk(t, s, "data")
	if a := content(t, s, strings.Repeat("x", 300_000)); a.Action != MilterPass {
		t.Errorf("%+v, %v", a, s.Err())
	}
	var kinds []string
	for _, e := range w.heard() {
		kinds = append(kinds, strings.Fields(e)[0])
	}
	if got := strings.Join(kinds, " "); got != "mail rcpt data body eom" {
		t.Errorf("heard %s", got)
	}
}

func TestUnreadableBodyIsTheCallersError(t *testing.T) {
	t.Parallel()
	w := &backendWorld{}
	s := NewMilters(w.serve(t, MilterOptions{})).Session()
	defer s.Close()
	talk(t, s, "data")
	disk := errors.New("disk")
	a, err := s.Content(t.Context(), []byte(testHeader), io.NewSectionReader(readerAt{iotest.ErrReader(disk)}, 0, 10))
	if !errors.Is(err, disk) || a.Action != MilterTempFail {
		t.Errorf("%+v, %v", a, err)
	}
}

type readerAt struct{ io.Reader }

func (r readerAt) ReadAt(p []byte, _ int64) (int, error) { return r.Read(p) }

func TestMiltersAskedOutOfOrderAreGivenUp(t *testing.T) {
	t.Parallel()
	s := NewMilters(MilterOptions{Name: "x", Default: FallbackTempFail, Dial: refuse}).Session()
	defer s.Close()
	if a := s.Helo(context.Background(), "x"); a.Action != MilterTempFail {
		t.Errorf("%+v", a)
	}
	if a, err := s.Content(context.Background(), nil, section("")); a.Action != MilterTempFail || err != nil {
		t.Errorf("%+v, %v", a, err)
	}
}
