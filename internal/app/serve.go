package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"posthorn/internal/app/boot"
	"posthorn/internal/base/event"
	"posthorn/internal/base/ident"
	"posthorn/internal/base/limit"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
	"posthorn/internal/flow/accept"
	"posthorn/internal/policy"
	"posthorn/internal/server/auth"
	"posthorn/internal/server/imapd"
	"posthorn/internal/server/listen"
	"posthorn/internal/server/manage"
	"posthorn/internal/server/pop3d"
	"posthorn/internal/server/smtpd"
	"posthorn/internal/state/cert"
	"posthorn/internal/state/mailbox"
	"posthorn/internal/wire/sasl"
)

// ServeOptions say how the doors are opened.
type ServeOptions struct {
	// Open is for the house.
	Open OpenOptions
	// Sockets are open already, from before privileges were dropped.
	Sockets []*listen.Socket
	// Prepare, if not nil, runs when the house stands and before any door
	// opens: quickstart makes its domain and accounts here.
	Prepare func(context.Context, *House) error
	// Alone opens no control socket: the house is run by whom Ready tells.
	Alone bool
	// Ready is told where the server listens.
	Ready func(h *House, listeners []manage.Listener) error
}

// grace is how long running sessions get at a stop; the whole stop takes less
// than ten seconds (reliability.md row 5).
const grace = 7 * time.Second

// patient is how long after a stop what works in the background is waited for:
// more than a queue takes. What hangs for longer does not hold the end up.
const patient = 9500 * time.Millisecond

// Sockets opens what the configuration names, or takes systemd's.
func Sockets(ctx context.Context, c boot.Config) ([]*listen.Socket, error) {
	inherited, err := listen.Inherited()
	if err != nil || len(inherited) > 0 {
		return inherited, err
	}
	var specs []listen.Spec
	for _, n := range listen.Names() {
		for _, addr := range c.Listen[n.Name] {
			specs = append(specs, listen.Spec{Name: n.Name, Addr: addr})
		}
	}
	if len(specs) == 0 {
		return nil, errors.New("nothing to listen on: name a listener with --listen NAME=ADDR or in the section [listen] of the configuration")
	}
	return listen.Open(ctx, specs)
}

// Serve runs the server until ctx ends, then stops it gracefully.
func Serve(ctx context.Context, c boot.Config, o ServeOptions) (err error) {
	h, err := Open(ctx, c, o.Open)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	h.Log.Log(event.ServerStarted, slog.String("version", h.Version), slog.String("data", c.Data), slog.Int("pid", os.Getpid()), slog.Int("uid", os.Getuid()))
	if o.Prepare != nil {
		if err := o.Prepare(ctx, h); err != nil {
			return err
		}
	}
	d, err := h.newDoors(o)
	if err != nil {
		return err
	}
	return d.run(ctx, o)
}

// doors are the protocol servers of a house and what they share.
type doors struct {
	h          *House
	certs      *cert.Store
	group      *listen.Group
	boxes      *mailbox.Registry
	pop3       *pop3d.Server
	queues     queues
	quarantine *accept.Quarantine
	web        web
	servers    map[string]listen.Server
	purpose    map[string]cert.Purpose
	sockets    []*listen.Socket
}

func (h *House) newDoors(o ServeOptions) (*doors, error) {
	d := &doors{h: h, sockets: o.Sockets}
	var err error
	if d.certs, err = h.openCerts(); err != nil {
		return nil, err
	}
	secret, err := h.box.Derive("sasl")
	if err != nil {
		return nil, err
	}
	who := auth.New(auth.Options{Directory: h.Directory, Accounts: h.Store.Directory(), Passwords: h.passwords, Settings: h.handles.login.Get,
		Secret: secret, Accountant: h.newAccountant(), DefaultDomain: func() string { return h.handles.directory.Get().DefaultDomain }, Log: h.Log})
	memory := limit.NewHeap(func() unit.Size { return h.handles.server.Get().Memory }, func() { h.Log.Log(event.MemoryOver) })
	idents := ident.NewSource()
	d.group = listen.NewGroup(listen.Options{Log: h.Log, Sessions: idents, Limits: h.limits,
		Proxies: func() []netip.Prefix { return h.Config.Proxies }, Exempt: h.exempt, Tight: memory.Tight})
	d.boxes = mailbox.NewRegistry(h.Store, mailbox.Options{})
	tlsFor := func(p cert.Purpose) func() *tls.Config { return func() *tls.Config { return d.certs.TLS(p) } }
	d.quarantine = h.quarantine()
	door := accept.New(h.Store, accept.Options{Quarantine: d.quarantine, Filed: h.filed, Lifetime: h.lifetime})
	d.queues = h.newQueues(door, idents)
	smtp := smtpd.New(smtpd.Deps{Settings: h.handles.smtp.Get, Hostname: h.handles.hostname, Policy: h.Pipeline, Directory: h.Directory,
		Sources: h.sources, Watch: h.watch, Results: h.handles.hostname, Store: h.Store, Door: door,
		Idents: idents, Offer: func(listen.Info) sasl.Offer { return who.Offer() }, TLS: tlsFor(cert.SMTP), Tight: memory.Tight, Recorder: h.Records, Log: h.Log,
		Guard: func(client netip.Addr, listener string, log *event.Logger) smtpd.Guard {
			return who.Guard(client, listener, log)
		}})
	imap := imapd.New(imapd.Deps{Store: h.witnessed("IMAP", d.boxes), Mailboxes: d.boxes, Settings: h.handles.imap.Get, Offer: who.Offer, TLS: tlsFor(cert.IMAP), Log: h.Log,
		Guard: func(client netip.Addr, listener string, log *event.Logger) imapd.Guard {
			return who.Guard(client, listener, log)
		}})
	d.pop3 = pop3d.New(pop3d.Deps{Store: h.witnessed("POP3", nil), Settings: h.handles.pop3.Get, TLS: tlsFor(cert.POP3), Log: h.Log,
		Offer: func(listen.Info) sasl.Offer { return who.Offer() },
		Guard: func(client netip.Addr, listener string, log *event.Logger) pop3d.Guard {
			return who.Guard(client, listener, log)
		}})
	d.web = d.newWeb(who)
	d.servers = map[string]listen.Server{"smtp": smtp, "submission": smtp, "submissions": smtp, "lmtp": smtp,
		"imap": imap, "imaps": imap, "pop3": d.pop3, "pop3s": d.pop3, "http": d.web.api, "metrics": d.web.metrics}
	d.purpose = map[string]cert.Purpose{"imaps": cert.IMAP, "pop3s": cert.POP3, "submissions": cert.SMTP}
	return d, nil
}

// openCerts loads the configured certificate or makes one of our own.
func (h *House) openCerts() (*cert.Store, error) {
	o := cert.Options{Log: h.Log, Trial: &cert.Trial{Dir: filepath.Join(h.Config.Data, "tls"), Host: h.handles.hostname}}
	if t := h.Config.TLS; t.Certificate != "" {
		o.Pairs = []cert.Pair{{Cert: t.Certificate, Key: t.Key}}
	}
	return cert.Open(o)
}

func (h *House) limits() listen.Limits {
	c := h.handles.connections.Get()
	return listen.Limits{Total: c.Total, Reserved: c.Reserved, PerListener: c.PerListener, PerHost: c.PerHost}
}

// exempt says whom the bound per host does not bind.
func (h *House) exempt(client netip.Addr) bool {
	if client.IsLoopback() {
		return true
	}
	f := &policy.Facts{Listener: "smtp", Client: client}
	h.Pipeline.Classify(f)
	switch {
	case f.Trust == policy.TrustedClass:
		return true
	case f.Trust != policy.Untrusted:
		return h.handles.connections.Get().PerHostExemptTrusted
	}
	return h.watch.allowed(client.Unmap())
}

// run opens the doors and waits for the end.
func (d *doors) run(ctx context.Context, o ServeOptions) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var workers sync.WaitGroup
	failed := make(chan error, 1)
	if !o.Alone {
		control, err := manage.OpenControl(d.h.Config.Data)
		if err != nil {
			return err
		}
		workers.Go(func() {
			if err := d.h.Service.ServeControl(work, control); err != nil {
				failed <- err
			}
		})
	}
	queues, stopQueues := context.WithCancel(work)
	defer stopQueues()
	workers.Go(d.alive("queue of local mail", func() { d.queues.local.Run(queues) }))
	workers.Go(d.alive("queue of mail to other servers", func() { d.queues.run(queues) }))
	workers.Go(func() { d.pop3.Purge(work) })
	workers.Go(d.alive("quarantine", func() { d.quarantine.Run(work) }))
	watch := logins{group: d.group, people: d.h.Store.Directory(), log: d.h.Log, version: -1}
	workers.Go(d.alive("end of sessions whose login ended", func() { watch.run(work) }))
	err := d.open(o)
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	}
	d.h.Log.Log(event.ServerStopping)
	last := time.Now().Add(patient)
	stopQueues() // deliveries end while sessions do
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if cut := d.group.Stop(stop); cut > 0 {
		d.h.Log.Log(event.ServerStopping, slog.Int("sessions_cut", cut))
	}
	stopWork()
	if !workEnds(&workers, time.Until(last)) {
		d.h.Log.Log(event.ServerStopping, event.Err(errors.New("work in the background does not end; it is left alone")))
	}
	err = errors.Join(err, d.web.api.Close(), d.web.metrics.Close())
	d.boxes.Close()
	d.h.Log.Log(event.ServerStopped)
	return err
}

// workEnds waits for workers, and reports whether they ended in time.
func workEnds(workers *sync.WaitGroup, most time.Duration) bool {
	all := make(chan struct{})
	go func() { workers.Wait(); close(all) }()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-all:
		return true
	case <-timer.C:
		return false
	}
}

// open starts every listener and tells who asked.
func (d *doors) open(o ServeOptions) error {
	var open []manage.Listener
	for _, s := range d.sockets {
		server := d.servers[s.Name.Name]
		if server == nil {
			return fmt.Errorf("listener %s is not part of this version", s.Name.Name)
		}
		var config *tls.Config
		if s.Name.TLS {
			config = d.certs.TLS(d.purpose[s.Name.Name])
		}
		if err := d.group.Start(s, server, config); err != nil {
			return err
		}
		open = append(open, manage.Listener{Listener: s.Name.Name, Addr: s.Address()})
	}
	d.h.Service.Opened(open, func() int { return d.group.Stats().Open })
	d.h.Log.Log(event.ServerReady)
	if o.Ready != nil {
		return o.Ready(d.h, open)
	}
	return nil
}

// lifetime is how long a message of the sender may stay in the queue.
func (h *House) lifetime(sender mail.Address) time.Duration {
	return h.handles.queue.Get().LifetimeOf(sender)
}
