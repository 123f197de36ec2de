package cli

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

type tryReadCmd struct {
	Login string `help:"Account to read." required:"" placeholder:"ADDRESS"`
	POP3  bool   `name:"pop3" help:"By POP3 instead of IMAP."`
	login
}

// maxRead bounds the message a try shows.
const maxRead = 1 << 20

func (c *tryReadCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	secret, err := c.password(w, s, c.Login)
	if err != nil {
		return err
	}
	c.Login = loginName(c.Login)
	names := []string{"imaps", "imap"}
	if c.POP3 {
		names = []string{"pop3s", "pop3"}
	}
	conn, config, name, err := dialListener(ctx, w, s, names...)
	if err != nil {
		return err
	}
	defer conn.Close()
	r := &reading{conn: conn, in: bufio.NewReader(conn)}
	var text string
	if c.POP3 {
		text, err = r.pop3(name, config, c.Login, secret)
	} else {
		text, err = r.imap(name, config, c.Login, secret)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if w.JSON {
		return printJSON(s.Out, map[string]string{"listener": name, "found": r.summary, "message": text})
	}
	if text == "" {
		_, err = fmt.Fprintf(s.Out, "%s has no messages.\n", c.Login)
		return err
	}
	_, err = fmt.Fprintf(s.Out, "[%s]\n\n%s", r.summary, printable(text))
	return err
}

// printable is clean for a whole text.
func printable(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(text, "\r\n", "\n")) {
		b.WriteString(clean(strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", " ")) + "\n")
	}
	return b.String()
}

// reading is a small client that shows the newest message.
type reading struct {
	conn    net.Conn
	in      *bufio.Reader
	summary string
}

func (r *reading) startTLS(config *tls.Config) {
	r.conn = tls.Client(r.conn, config)
	r.in = bufio.NewReader(r.conn)
}

// ask sends a tagged command and returns the untagged lines.
func (r *reading) ask(command string) ([]string, error) {
	if _, err := io.WriteString(r.conn, "t "+command+"\r\n"); err != nil {
		return nil, err
	}
	var lines []string
	for {
		line, err := r.line()
		if err != nil {
			return nil, err
		}
		if rest, ok := strings.CutPrefix(line, "t "); ok {
			if !strings.HasPrefix(rest, "OK") {
				return nil, errors.New("the server said " + clean(rest))
			}
			return lines, nil
		}
		lines = append(lines, line)
	}
}

// line reads a line with the literals in it.
func (r *reading) line() (string, error) {
	line, err := r.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(line, "\r\n")
	if !strings.HasSuffix(text, "}") {
		return text, nil
	}
	n, err := strconv.Atoi(text[strings.LastIndexByte(text, '{')+1 : len(text)-1])
	if err != nil || n > maxRead {
		return "", fmt.Errorf("a literal of %d octets is more than is shown", n)
	}
	literal := make([]byte, n)
	if _, err := io.ReadFull(r.in, literal); err != nil {
		return "", err
	}
	rest, err := r.line()
	return text + "\n" + string(literal) + rest, err
}

func (r *reading) imap(name string, config *tls.Config, user, secret string) (string, error) {
	if _, err := r.line(); err != nil {
		return "", err
	}
	if name == "imap" {
		if _, err := r.ask("STARTTLS"); err != nil {
			return "", err
		}
		r.startTLS(config)
	}
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	if _, err := r.ask(fmt.Sprintf(`LOGIN "%s" "%s"`, quote.Replace(user), quote.Replace(secret))); err != nil {
		return "", err
	}
	lines, err := r.ask("EXAMINE INBOX")
	if err != nil {
		return "", err
	}
	count := "0"
	for _, l := range lines {
		if n, ok := strings.CutSuffix(strings.TrimPrefix(l, "* "), " EXISTS"); ok {
			count = n
		}
	}
	if count == "0" {
		return "", nil
	}
	r.summary = "newest of " + count + " in INBOX, by " + name
	lines, err = r.ask("FETCH " + count + fmt.Sprintf(" (BODY.PEEK[]<0.%d>)", maxRead))
	if err != nil || len(lines) == 0 {
		return "", errors.Join(err, errors.New("no answer to FETCH"))
	}
	_, text, _ := strings.Cut(lines[0], "\n")
	return strings.TrimSuffix(text, ")"), nil
}

// say sends a POP3 command and returns the text after +OK.
func (r *reading) say(command string) (string, error) {
	if command != "" {
		if _, err := io.WriteString(r.conn, command+"\r\n"); err != nil {
			return "", err
		}
	}
	line, err := r.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	text, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "+OK")
	if !ok {
		return "", errors.New("the server said " + clean(strings.TrimSpace(line)))
	}
	return strings.TrimSpace(text), nil
}

func (r *reading) pop3(name string, config *tls.Config, user, secret string) (string, error) {
	if _, err := r.say(""); err != nil {
		return "", err
	}
	if name == "pop3" {
		if _, err := r.say("STLS"); err != nil {
			return "", err
		}
		r.startTLS(config)
	}
	for _, command := range []string{"USER " + user, "PASS " + secret} {
		if _, err := r.say(command); err != nil {
			return "", err
		}
	}
	stat, err := r.say("STAT")
	if err != nil {
		return "", err
	}
	count, _, _ := strings.Cut(stat, " ")
	if count == "0" {
		return "", nil
	}
	r.summary = "newest of " + count + " at the server, by " + name
	if _, err := r.say("RETR " + count); err != nil {
		return "", err
	}
	var b strings.Builder
	for b.Len() < maxRead {
		line, err := r.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	return b.String(), nil
}
