package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"posthorn/internal/app"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/shell"
	"posthorn/internal/server/manage"
	"posthorn/internal/wire/sasl"
	"posthorn/internal/wire/smtp"
)

type tryCmd struct {
	Send trySendCmd `cmd:"" help:"Send a message by submission, with login and TLS."`
	Read tryReadCmd `cmd:"" help:"Read the newest message of an account by IMAP or POP3."`
}

// login says who a try logs in as.
type login struct {
	PasswordStdin bool `help:"Read the password from the first line of standard input (default: the one quickstart made)."`
}

func (l login) password(w *Where, s *Streams, who string) (string, error) {
	if l.PasswordStdin {
		return firstLine(s.In)
	}
	c, err := w.boot()
	if err != nil {
		return "", err
	}
	known, err := app.LoadTrial(c.Data)
	if err != nil {
		return "", err
	}
	if p := known[loginName(who)]; p != "" {
		return p, nil
	}
	return "", fmt.Errorf("the password of %s is not known here; pipe it in with --password-stdin", who)
}

// loginName is a name as accounts are known by it: addresses in their normal
// form.
func loginName(who string) string {
	if a, err := mail.ParseAddress(who); err == nil {
		return a.Key()
	}
	return strings.ToLower(who)
}

// tryTime bounds one try.
const tryTime = time.Minute

// dialListener connects to the first of the listeners that is open. Names that
// end in s are TLS from the start.
func dialListener(ctx context.Context, w *Where, s *Streams, names ...string) (net.Conn, *tls.Config, string, error) {
	st, err := ask[manage.Status](ctx, w, s, "status", manage.None{})
	if err != nil {
		return nil, nil, "", err
	}
	if !st.Running {
		return nil, nil, "", errors.New("the server is not running; start it first (posthorn quickstart, or posthorn serve)")
	}
	config, err := trust(w, st.Hostname)
	if err != nil {
		return nil, nil, "", err
	}
	at := map[string]string{}
	for _, l := range st.Listeners {
		at[l.Listener] = l.Addr
	}
	for _, name := range names {
		if at[name] == "" {
			continue
		}
		d := net.Dialer{Timeout: 10 * time.Second}
		c, err := d.DialContext(ctx, "tcp", reachable(at[name]))
		if err != nil {
			return nil, nil, "", err
		}
		_ = c.SetDeadline(time.Now().Add(tryTime)) // fails only on a closed connection
		if strings.HasSuffix(name, "s") {
			c = tls.Client(c, config)
		}
		return c, config, name, nil
	}
	return nil, nil, "", fmt.Errorf("the server has none of the listeners %s open (posthorn status)", strings.Join(names, ", "))
}

// reachable turns "all addresses" into one of this machine.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// trust accepts the trial's own authority beside those of the system.
func trust(w *Where, host string) (*tls.Config, error) {
	c, err := w.boot()
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if ca, err := os.ReadFile(filepath.Join(c.Data, "tls", "ca.pem")); err == nil {
		pool.AppendCertsFromPEM(ca)
	}
	return &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS12}, nil
}

type trySendCmd struct {
	From    string `help:"Sender, who logs in." required:"" placeholder:"ADDRESS"`
	To      string `help:"Recipient." required:"" placeholder:"ADDRESS"`
	Subject string `help:"Subject." default:"Test message from posthorn"`
	Text    string `help:"Text of the message." default:"If you can read this, the mail server works."`
	login
}

func (c *trySendCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	from, err := mail.ParseAddress(c.From)
	if err != nil {
		return misuse("--from: %w", err)
	}
	to, err := mail.ParseAddress(c.To)
	if err != nil {
		return misuse("--to: %w", err)
	}
	secret, err := c.password(w, s, c.From)
	if err != nil {
		return err
	}
	conn, config, name, err := dialListener(ctx, w, s, "submissions", "submission")
	if err != nil {
		return err
	}
	defer conn.Close()
	options := smtp.ClientOptions{Now: time.Now}
	if t, ok := conn.(*tls.Conn); ok {
		state := t.ConnectionState()
		options.TLS = &state
	}
	client := smtp.NewClient(conn, options)
	if err := client.Greet("localhost"); err != nil {
		return err
	}
	if name == "submission" {
		handshake := func() (smtp.Conn, *tls.ConnectionState, error) {
			t := tls.Client(conn, config)
			err := t.HandshakeContext(ctx)
			state := t.ConnectionState()
			return t, &state, err
		}
		if err := client.StartTLS("localhost", handshake); err != nil {
			return err
		}
	}
	if err := client.Auth(sasl.Credentials{Name: from.String(), Password: secret}, true); err != nil {
		if refused := (*smtp.RefusedError)(nil); errors.As(err, &refused) {
			err = badLogin(err, c.From)
		}
		return fmt.Errorf("login as %s: %w", c.From, err)
	}
	sent, err := client.Send(smtp.Simple(from, bytes.NewReader(c.message(from, to)), to))
	if err != nil {
		return err
	}
	if w.JSON {
		_, id, _ := strings.Cut(sent.Data.String(), "queued as ")
		err = printJSON(s.Out, sending{name, sent.Data.String(), id})
	} else {
		_, err = fmt.Fprintf(s.Out, "Sent to the listener %s, which answered: %s\n", name, clean(sent.Data.String()))
		if _, id, ok := strings.Cut(sent.Data.String(), "queued as "); ok && err == nil {
			_, err = fmt.Fprintf(s.Out, "What became of it: posthorn trace%s %s\n", w.flags(), shell.Word(clean(id)))
		}
	}
	return errors.Join(err, client.Quit())
}

// badLogin says after a refused login what to do.
func badLogin(err error, name string) error {
	return fmt.Errorf("%w; which accounts there are: posthorn account list; another password: posthorn account set %s --password-stdin", err, shell.Word(name))
}

// sending is what became of a try in JSON.
type sending struct {
	Listener string `json:"listener"`
	Reply    string `json:"reply"`
	ID       string `json:"id"`
}

// message writes the mail; header fields cannot be injected because line ends
// in the arguments become spaces.
func (c *trySendCmd) message(from, to mail.Address) []byte {
	one := strings.NewReplacer("\r", " ", "\n", " ")
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n",
		from, to, mime.QEncoding.Encode("utf-8", one.Replace(c.Subject)), time.Now().Format(time.RFC1123Z), strings.ToLower(rand.Text()), from.Domain,
		strings.ReplaceAll(strings.ReplaceAll(c.Text, "\r\n", "\n"), "\n", "\r\n"))
	return b.Bytes()
}
