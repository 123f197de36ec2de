package app

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/netip"
	"strings"
	"sync"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/event"
	"posthorn/internal/policy"
	"posthorn/internal/policy/check"
	"posthorn/internal/policy/scan"
)

// scanners are the engines that look into content, as the settings say. They
// implement policy.Scanners.
type scanners struct {
	settings func() *check.Settings
	hostname func() string
	dial     scan.Dial
	log      *event.Logger
	health   health

	mu      sync.Mutex
	engines *engines
}

// engines are made from one version of the settings. What is not set is nil.
type engines struct {
	of          *check.Settings
	virus       *scan.ClamAV
	spam        *scan.Rspamd
	attachments *scan.Attachments
	milters     *scan.Milters
	list        []check.Milter // of milters
	asked       sync.Once      // whether they are there
}

// waiting is how many scans may wait for each that runs.
const waiting = 50

func newScanners(h *House) *scanners {
	return &scanners{settings: h.handles.policy.Get, hostname: h.handles.hostname, dial: dialer{h.Resolver}.dial, log: h.Log}
}

// current are the engines of the settings in force.
func (s *scanners) current() *engines {
	of := s.settings()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engines == nil || s.engines.of != of {
		s.engines = s.build(of)
	}
	return s.engines
}

// build makes engines. Settings that were saved are valid; should one not be
// after all, an administrator is told, and the scanner counts as not there.
func (s *scanners) build(of *check.Settings) *engines {
	e := &engines{of: of}
	var errs []error
	if v := &of.Virus; v.Server != "" {
		at, err := scan.ParseEndpoint(v.Server)
		errs = append(errs, err)
		e.virus = scan.NewClamAV(scan.ClamAVOptions{Endpoint: at, Dial: s.dial, Timeout: v.Timeout, Width: v.Width, Queue: v.Width * waiting})
	}
	var err error
	if p := &of.Spam; p.URL != "" {
		e.spam, err = scan.NewRspamd(scan.RspamdOptions{URL: p.URL, Password: p.Password.Reveal(), Dial: s.dial, Timeout: p.Timeout,
			MaxSize: int64(p.Most), Width: p.Width, Queue: p.Width * waiting})
		errs = append(errs, err)
	}
	if rules := of.Attachments.Rules(); len(rules) > 0 {
		e.attachments, err = scan.NewAttachments(scan.AttachmentOptions{Rules: rules})
		errs = append(errs, err)
	}
	e.list, err = of.Milters.List()
	errs = append(errs, err)
	e.milters = s.milters(&of.Milters, e.list)
	if err := errors.Join(errs...); err != nil {
		s.log.Log(event.SettingInvalid, event.Err(err))
	}
	return e
}

// opinion tells a scanner that is down from one that did not want the message.
func opinion(err error) policy.Scanned {
	if errors.Is(err, scan.ErrTooLarge) {
		return policy.TooLarge
	}
	return policy.Down
}

// whole reads the message under judgement.
func whole(f *policy.Facts) *io.SectionReader {
	return io.NewSectionReader(f.Content.Body, 0, f.Content.Size)
}

// Virus implements policy.Scanners.
func (s *scanners) Virus(ctx context.Context, f *policy.Facts) policy.Virus {
	e := s.current()
	if e.virus == nil {
		return policy.Virus{}
	}
	if most := int64(e.of.Virus.Most); most > 0 && f.Content.Size > most {
		return policy.Virus{Opinion: policy.TooLarge, Problem: "more than " + e.of.Virus.Most.String()}
	}
	found, err := e.virus.Scan(ctx, whole(f))
	s.health.note(ctx, s.log, "virus", e.of.Virus.Server, err)
	switch {
	case err != nil:
		return policy.Virus{Opinion: opinion(err), Problem: err.Error()}
	case found.Infected:
		return policy.Virus{Opinion: policy.Suspect, Signature: found.Signature}
	}
	return policy.Virus{Opinion: policy.Clean}
}

// Spam implements policy.Scanners.
func (s *scanners) Spam(ctx context.Context, f *policy.Facts) policy.Spam {
	e := s.current()
	if e.spam == nil {
		return policy.Spam{}
	}
	m := scan.Message{Content: whole(f), Size: f.Content.Size, Sender: f.Sender, Recipients: f.Recipients, Client: f.Client.Unmap(),
		Helo: f.Helo, Hostname: f.Hostname, Login: loginName(f), QueueID: f.Message.String()}
	score, err := e.spam.Scan(ctx, &m)
	s.health.note(ctx, s.log, "spam", e.of.Spam.URL, err)
	if err != nil {
		return policy.Spam{Opinion: opinion(err), Problem: err.Error()}
	}
	r := policy.Spam{Opinion: policy.Clean, Score: score.Score, Action: string(score.Action), Reply: score.Reply}
	if score.Action != scan.ActionNone {
		r.Opinion = policy.Suspect
	}
	for i := range score.Symbols[:min(len(score.Symbols), mostSymbols)] {
		r.Symbols = append(r.Symbols, score.Symbols[i].Name+"("+check.Number(score.Symbols[i].Score)+")")
	}
	edits := score.Edits
	if score.Subject != "" {
		edits = append(edits, scan.Edit{Kind: scan.ChangeField, Index: 1, Name: "Subject", Value: encoded(score.Subject)})
	}
	if f.Content.Structure.Parts[0].Body.Start <= policy.MaxHeader {
		r.Edits = editsOf(edits)
	}
	return r
}

// mostSymbols bounds the rules of the spam filter that a record keeps.
const mostSymbols = 40

// encoded is a subject as a header field has it.
func encoded(subject string) string {
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", subject), "?= =?", "?=\r\n =?")
}

// Attachment implements policy.Scanners.
func (s *scanners) Attachment(ctx context.Context, f *policy.Facts) policy.Attachment {
	e := s.current()
	if e.attachments == nil {
		return policy.Attachment{}
	}
	m, err := e.attachments.Scan(ctx, f.Content.Structure, f.Content.Body)
	switch {
	case err != nil:
		return policy.Attachment{Opinion: policy.Down, Problem: err.Error()}
	case m.Rule != "":
		return policy.Attachment{Opinion: policy.Suspect, Rule: m.Rule, File: m.Attachment, Reason: m.Reason}
	}
	return policy.Attachment{Opinion: policy.Clean}
}

// editsOf translates what a scanner wants changed; nil for nothing.
func editsOf(edits scan.Edits) *policy.Edits {
	if len(edits) == 0 {
		return nil
	}
	e := &policy.Edits{}
	for i := range edits {
		switch x := &edits[i]; x.Kind {
		case scan.ReplaceBody:
		case scan.ChangeSender:
			e.Sender = &x.Address
		case scan.AddRecipient:
			e.Add = append(e.Add, x.Address)
		case scan.DeleteRecipient:
			e.Delete = append(e.Delete, x.Address)
		default:
			e.Header = edits.Header
		}
	}
	e.Body, e.NewBody = edits.Body()
	return e
}

func loginName(f *policy.Facts) string {
	if f.Login == nil || len(f.Login.Addresses) == 0 {
		return ""
	}
	return f.Login.Addresses[0].String()
}

// dialer opens connections to scanners, whose names it looks up itself.
type dialer struct{ names *dns.Resolver }

func (d dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var n net.Dialer
	if network == "unix" {
		return n.DialContext(ctx, network, address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := d.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, ip := range addrs {
		var c net.Conn
		if c, err = n.DialContext(ctx, network, net.JoinHostPort(ip.String(), port)); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// addresses are those of a host; this machine is known without asking.
func (d dialer) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	a, err := d.names.Addrs(ctx, host)
	if len(a.Records) > 0 {
		return a.Records, nil // one kind may have failed
	}
	if err == nil {
		err = errors.New(host + " has no address")
	}
	return nil, err
}
