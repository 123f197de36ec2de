package app

import (
	"context"
	"fmt"
	"io"
	"net/netip"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
	"posthorn/internal/policy/check"
	"posthorn/internal/policy/scan"
)

// milters makes the engine of a list, nil for none.
func (s *scanners) milters(m *check.Milters, list []check.Milter) *scan.Milters {
	if len(list) == 0 {
		return nil
	}
	var all []scan.MilterOptions
	for _, one := range list {
		all = append(all, s.options(m, one))
	}
	return scan.NewMilters(all...)
}

func (s *scanners) options(m *check.Milters, one check.Milter) scan.MilterOptions {
	return scan.MilterOptions{Name: one.Endpoint.String(), Endpoint: one.Endpoint, Dial: s.dial, Default: one.Fallback,
		ConnectTimeout: m.ConnectTime, CommandTimeout: m.CommandTime, ContentTimeout: m.ContentTime, MaxBody: int64(m.MostBody),
		Told: func(ctx context.Context, err error) { s.health.note(ctx, s.log, "milter", one.Endpoint.String(), err) }}
}

// Filter implements policy.Scanners.
func (s *scanners) Filter(*policy.Facts) policy.Filter {
	if m := s.current().milters; m != nil {
		return &filter{s: m.Session(), hostname: s.hostname()}
	}
	return nil
}

// quiet are scanners without milters, who would take for mail what is only tried.
type quiet struct{ policy.Scanners }

// Filter implements policy.Scanners.
func (quiet) Filter(*policy.Facts) policy.Filter { return nil }

// filter tells milters of a session. They hear of client and greeting only when
// a message begins: who sends none costs them nothing, and by then the client's
// name is known. What they refuse there counts from MAIL on.
type filter struct {
	s         *scan.MilterSession
	hostname  string
	connected bool
	helo      string
	tls       bool
	// client is what they said to client or greeting, message to the message, if
	// that settles all that follows.
	client, message *scan.Answer
}

// Close implements policy.Filter.
func (m *filter) Close() { m.s.Close() }

// Ask implements policy.Filter.
func (m *filter) Ask(ctx context.Context, stage policy.Stage, f *policy.Facts) policy.Filtered {
	if stage == policy.Mail {
		m.message = nil
		m.introduce(ctx, f)
	}
	for _, settled := range []*scan.Answer{m.client, m.message} {
		if settled != nil {
			return m.answer(*settled)
		}
	}
	var a scan.Answer
	switch stage {
	case policy.Mail:
		a = m.s.Mail(ctx, f.Sender, params(f)...)
	case policy.Rcpt:
		return m.answer(m.s.Rcpt(ctx, f.Recipient))
	case policy.Data:
		a = m.s.Data(ctx)
	case policy.Content:
		return m.answer(m.content(ctx, f))
	}
	m.message = settles(a)
	return m.answer(a)
}

// settles keeps a refusal: whoever gave it wants to hear no more.
func settles(a scan.Answer) *scan.Answer {
	if a.Action > scan.MilterQuarantine {
		return &a
	}
	return nil
}

// introduce tells them who is there, as far as they do not know.
func (m *filter) introduce(ctx context.Context, f *policy.Facts) {
	m.s.Macro("i", f.Message.String())
	m.s.Macro("{auth_authen}", loginName(f))
	if !m.connected {
		m.connected = true
		m.s.Macro("j", m.hostname)
		m.s.Macro("v", "posthorn")
		m.s.Macro("{daemon_name}", f.Listener)
		m.client = settles(m.s.Connect(ctx, netip.AddrPortFrom(f.Client, f.Port), f.Hostname))
		m.helo = ""
	}
	if m.helo == f.Helo && m.tls == f.TLS || m.client != nil && m.helo == "" {
		return
	}
	m.helo, m.tls = f.Helo, f.TLS
	m.client = settles(m.s.Helo(ctx, f.Helo))
}

// params are the parameters of MAIL, as far as policy knows them.
func params(f *policy.Facts) []string {
	var p []string
	if f.DeclaredSize > 0 {
		p = append(p, fmt.Sprintf("SIZE=%d", int64(f.DeclaredSize)))
	}
	if f.Params.SMTPUTF8 {
		p = append(p, "SMTPUTF8")
	}
	return p
}

// content shows them the message.
func (m *filter) content(ctx context.Context, f *policy.Facts) scan.Answer {
	start := f.Content.Structure.Parts[0].Body.Start
	if start > policy.MaxHeader {
		r := reply.Newf(552, reply.E(5, 3, 4), "Header section exceeds %d octets", policy.MaxHeader)
		return scan.Answer{Action: scan.MilterReject, Reply: r, Reason: "milters are not shown a header section as long as that"}
	}
	header := make([]byte, start)
	_, err := io.ReadFull(io.NewSectionReader(f.Content.Body, 0, start), header)
	var a scan.Answer
	if err == nil {
		a, err = m.s.Content(ctx, header, io.NewSectionReader(f.Content.Body, start, f.Content.Size-start))
	}
	if err != nil {
		r := reply.New(451, reply.E(4, 3, 0), "Temporary problem, try again later")
		return scan.Answer{Action: scan.MilterTempFail, Reply: r.Because(err), Reason: "reading the message for the milters: " + err.Error()}
	}
	return a
}

// answer translates what they said.
func (m *filter) answer(a scan.Answer) policy.Filtered {
	r := policy.Filtered{Reply: a.Reply, Filter: a.Filter, Reason: a.Reason, Edits: editsOf(a.Edits)}
	r.Action = [...]policy.Action{scan.MilterPass: policy.Pass, scan.MilterQuarantine: policy.Pass, scan.MilterDiscard: policy.Discard,
		scan.MilterTempFail: policy.Defer, scan.MilterReject: policy.Reject}[a.Action]
	if a.Action == scan.MilterQuarantine {
		r.Quarantine = a.Reason
	}
	if err := m.s.Err(); err != nil {
		r.Problem = err.Error()
	}
	return r
}
