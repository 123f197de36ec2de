package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"posthorn/internal/base/limit"
	"posthorn/internal/base/mail"
)

// Rspamd asks an rspamd worker by HTTP. It may be used by many goroutines.
type Rspamd struct {
	o      RspamdOptions
	url    string
	client *http.Client
	gate   *limit.Gate
}

// RspamdOptions say where rspamd is and how much it is asked.
type RspamdOptions struct {
	// URL is that of a normal or proxy worker: http://host:port, https://… or
	// unix:/path.
	URL string
	// Password is sent if it is not empty.
	Password string
	Dial     Dial
	// Timeout bounds one scan, waiting for a turn included; 0 leaves it to the
	// context.
	Timeout time.Duration
	// MaxSize is rspamd's max_message, which it answers by hanging up: a larger
	// message is not sent but ErrTooLarge. 0 sends all.
	MaxSize int64
	// Width is how many scans run at once, Queue how many may wait.
	Width, Queue int
}

// NewRspamd returns a scanner; it does not connect yet. The error is about the
// URL.
func NewRspamd(o RspamdOptions) (*Rspamd, error) {
	r := &Rspamd{o: o, gate: limit.NewGate(o.Width, o.Queue)}
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("%w; write http://host:port or unix:/path", err)
	}
	to := func(ctx context.Context, network, address string) (net.Conn, error) {
		return o.Dial(ctx, network, address)
	}
	switch {
	case u.Scheme == "unix" && u.Path != "":
		path := u.Path
		to = func(ctx context.Context, _, _ string) (net.Conn, error) { return o.Dial(ctx, "unix", path) }
		u = &url.URL{Scheme: "http", Host: "localhost"}
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q is no address of rspamd; write http://host:port or unix:/path", o.URL)
	}
	r.url = u.JoinPath("checkv2").String()
	r.client = &http.Client{
		Transport: &http.Transport{
			DialContext:            to,
			DisableKeepAlives:      true, // a connection costs nothing beside a scan
			DisableCompression:     true, // its output would have to be bounded too
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r, nil
}

// Message is what rspamd is told about a message.
type Message struct {
	// Content is the message, Size its octets, or -1 if they are not known.
	Content io.Reader
	Size    int64

	Sender     mail.Address
	Recipients []mail.Address
	Client     netip.Addr
	// Helo is the client's own name, Hostname its verified one; Login is who
	// authenticated. QueueID finds the message in both logs.
	Helo, Hostname, Login, QueueID string
}

// Score is rspamd's opinion of a message.
type Score struct {
	Score, Required float64
	// Action is what rspamd would do; ActionNone for one it does not know.
	Action ScoreAction
	// Symbols are the rules that matched, by weight.
	Symbols []Symbol
	// Skipped: rspamd did not look at the message.
	Skipped bool
	// Subject replaces the message's where the action is RewriteSubject; ""
	// if rspamd gives none.
	Subject string
	// Reply is the text rspamd gives for a refusal, "" for none.
	Reply string
	// Edits are fields to add and to delete.
	Edits Edits
}

// Symbol is a rule of rspamd that matched.
type Symbol struct {
	Name    string
	Score   float64
	Options []string
}

// ScoreAction is one of rspamd's actions.
type ScoreAction string

// rspamd's actions, from the mildest.
const (
	ActionNone       ScoreAction = "no action"
	ActionGreylist   ScoreAction = "greylist"
	ActionAddHeader  ScoreAction = "add header"
	ActionSubject    ScoreAction = "rewrite subject"
	ActionSoftReject ScoreAction = "soft reject"
	ActionReject     ScoreAction = "reject"
)

// Scan sends a message and returns rspamd's opinion; limit.ErrCrowded says
// that too many scans wait already.
func (r *Rspamd) Scan(ctx context.Context, m *Message) (*Score, error) {
	if r.o.MaxSize > 0 && m.Size > r.o.MaxSize {
		return nil, fmt.Errorf("rspamd: %w: %d octets", ErrTooLarge, m.Size)
	}
	ctx, cancel := within(ctx, r.o.Timeout)
	defer cancel()
	if err := r.gate.Enter(ctx); err != nil {
		return nil, fmt.Errorf("rspamd: %w", err)
	}
	defer r.gate.Leave()
	s, err := r.post(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("rspamd: %w", err)
	}
	return s, nil
}

// maxAnswer bounds rspamd's answer.
const maxAnswer = 1 << 20

// post sends the message. When it returns nobody reads the message any more.
func (r *Rspamd) post(ctx context.Context, m *Message) (*Score, error) {
	content := &contentReader{r: m.Content, done: make(chan struct{})}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, content)
	if err != nil {
		return nil, err
	}
	q.ContentLength, q.Header = m.Size, r.header(m)
	if m.Size == 0 {
		q.Body = http.NoBody // else the length counts as unknown
		_ = content.Close()  // never fails
	}
	status, body, err := r.exchange(ctx, q)
	<-content.done
	switch {
	case content.err != nil:
		return nil, content.err
	case err != nil:
		return nil, err
	case status != http.StatusOK:
		return nil, httpError(status, body)
	}
	return parseScore(body)
}

// exchange sends a request and reads the answer.
func (r *Rspamd) exchange(ctx context.Context, q *http.Request) (status int, body []byte, err error) {
	answer, err := r.client.Do(q)
	if err != nil {
		return 0, nil, down(ctx, err)
	}
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	_ = answer.Body.Close() // reading has told all
	switch {
	case err != nil:
		return 0, nil, down(ctx, err)
	case len(body) > maxAnswer:
		return 0, nil, fmt.Errorf("%w: more than %d octets", ErrAnswer, maxAnswer)
	}
	return answer.StatusCode, body, nil
}

// httpError says why rspamd refused to judge.
func httpError(status int, body []byte) error {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w: %s", ErrTooLarge, word(string(body)))
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: the password is not accepted (%d)", ErrScanner, status)
	}
	return fmt.Errorf("%w: status %d: %s", ErrScanner, status, word(string(body)))
}

// header tells rspamd about the session. The values are made of what strangers
// say.
func (r *Rspamd) header(m *Message) http.Header {
	h := http.Header{}
	set := func(name, value string) {
		if value != "" {
			h.Add(name, line(value, 1000))
		}
	}
	h.Add("From", m.Sender.Path())
	for _, a := range m.Recipients {
		set("Rcpt", a.String())
	}
	if m.Client.IsValid() {
		set("IP", m.Client.Unmap().WithZone("").String())
	}
	set("Helo", m.Helo)
	set("Hostname", m.Hostname)
	set("User", m.Login)
	set("Queue-Id", m.QueueID)
	set("Password", r.o.Password)
	set("User-Agent", "posthorn")
	if m.Size >= 0 {
		set("Message-Length", strconv.FormatInt(m.Size, 10))
	}
	return h
}

// contentReader remembers why a message could not be read. The transport may
// read on after its answer; done is closed when it does no longer.
type contentReader struct {
	r    io.Reader
	err  error
	once sync.Once
	done chan struct{}
}

func (c *contentReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

func (c *contentReader) Close() error {
	c.once.Do(func() { close(c.done) })
	return nil
}

// Ping asks whether rspamd is there.
func (r *Rspamd) Ping(ctx context.Context) error {
	ctx, cancel := within(ctx, r.o.Timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(r.url, "checkv2")+"ping", nil)
	if err != nil {
		return fmt.Errorf("rspamd: %w", err)
	}
	_, body, err := r.exchange(ctx, q)
	switch {
	case err != nil:
		return fmt.Errorf("rspamd: %w", err)
	case strings.TrimSpace(string(body)) != "pong":
		return fmt.Errorf("rspamd: %w: %q to a ping", ErrAnswer, word(string(body)))
	}
	return nil
}
