package app

import (
	"context"
	"errors"
	"sync"

	"posthorn/internal/base/limit"
	"posthorn/internal/policy"
	"posthorn/internal/policy/check"
	"posthorn/internal/policy/evidence"
	"posthorn/internal/state/access"
	"posthorn/internal/state/ban"
	"posthorn/internal/state/greylist"
	"posthorn/internal/state/regular"
	"posthorn/internal/state/store"
)

// openMemory opens what the house remembers of strangers: lists, hosts that did
// well, bans and greylist.
func (h *House) openMemory(ctx context.Context) (err error) {
	if h.access, err = access.Open(ctx, h.Store.Access(), h.Log); err != nil {
		return err
	}
	if h.regulars, err = regular.Open(ctx, h.Store.Regulars(), h.Log); err != nil {
		return err
	}
	if h.bans, err = ban.Open(ctx, h.Store.Bans(), ban.Options{Settings: h.handles.ban.Get, Exempt: h.spared, Log: h.Log}); err != nil {
		return err
	}
	h.greylist = greylist.Open(h.Store.Greylist(), greylist.Options{Rules: func() store.GreylistRules { return h.handles.policy.Get().Greylist.Rules() }, Log: h.Log})
	h.watch = newWatch(h)
	if h.sifter, err = h.openSifter(); err != nil {
		return err
	}
	h.reporting = h.openReporting()
	return nil
}

// closeMemory writes down what is not yet, all side by side: a store that does
// not answer is waited for once.
func (h *House) closeMemory() error {
	var ended []func() error
	if h.reporting != nil {
		ended = append(ended, func() error { h.reporting.Close(); return nil })
	}
	if h.sifter != nil {
		ended = append(ended, h.sifter.Close)
	}
	if h.access != nil {
		ended = append(ended, h.access.Close)
	}
	if h.bans != nil {
		ended = append(ended, h.bans.Close)
	}
	if h.regulars != nil {
		ended = append(ended, h.regulars.Close)
	}
	if h.greylist != nil {
		ended = append(ended, h.greylist.Close)
	}
	errs := make([]error, len(ended))
	var all sync.WaitGroup
	for i, end := range ended {
		all.Go(func() { errs[i] = end() })
	}
	all.Wait()
	return errors.Join(errs...)
}

// newSources are what checks of live sessions may ask: those that count do.
func (h *House) newSources() policy.Sources {
	authentic := func() *check.Authentic { return &h.handles.policy.Get().Authentic }
	return policy.Sources{
		Usage: h, Senders: h.Directory,
		Names: evidence.NewNames(evidence.NameOptions{Resolver: h.Resolver}),
		Authenticity: evidence.NewAuthenticity(evidence.Options{Resolver: h.Resolver, Hostname: h.handles.hostname,
			TreeWalk: func() bool { return authentic().TreeWalk }, Forwarders: func() []string { return authentic().Forwarders },
			SPFField: func() bool { return h.handles.policy.Get().SPF.Field }}),
		Access: h.access, Bans: h.bans, Greylist: h.greylist,
		Rates: rates{limit.NewWindows(limit.WindowsOptions{})}, Regulars: h.watch, Scanners: newScanners(h), Filter: h.sifter,
	}
}

// looking are sources that tell the same and change nothing, for what is only
// tried.
func (h *House) looking() policy.Sources {
	s := h.sources
	s.Access, s.Greylist = h.access.Looking(), h.greylist.Looking()
	s.Rates = peeking{s.Rates.(rates)}
	s.Scanners = quiet{s.Scanners}
	return s
}
