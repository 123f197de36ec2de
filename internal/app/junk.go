package app

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/flow/learn"
	"posthorn/internal/policy"
	"posthorn/internal/state/junk"
	"posthorn/internal/state/store"
)

const (
	junkFile = "junk.db"
	// judging bounds how long the filter keeps a message waiting, lastLessons how
	// long it learns at the end.
	judging     = time.Second
	lastLessons = 2 * time.Second
	// spoken is how many of its reasons the filter gives.
	spoken = 6
)

// sifter asks the junk filter and teaches it. It implements policy.JunkFilter
// and local.Filter.
type sifter struct {
	h       *House
	filter  *junk.Filter
	learner *junk.Learner
	// store is the one of doors by which people handle their mail.
	store *learn.Store
}

// openSifter opens what the filter has learned.
func (h *House) openSifter() (*sifter, error) {
	key, err := h.box.Derive("junk")
	if err != nil {
		return nil, err
	}
	failed := func(err error) { h.Log.Log(event.JunkFailed, event.Err(err)) }
	s := &sifter{h: h}
	s.filter, err = junk.Open(junk.Options{Path: filepath.Join(h.Config.Data, junkFile), Key: key, Failed: failed,
		Settings: func() junk.Settings { return *h.handles.junk.Get() }, Own: func(host string) bool { return host == strings.ToLower(h.handles.hostname()) }})
	if err != nil {
		return nil, err
	}
	s.learner = junk.NewLearner(s.filter, failed)
	s.store = learn.New(h.Store, s.learner, failed)
	return s, nil
}

// Close learns what was moved before and ends.
func (s *sifter) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), lastLessons)
	defer cancel()
	s.store.Stop(ctx)
	if err := s.learner.Flush(ctx); err != nil {
		s.h.Log.Log(event.JunkFailed, event.Err(err))
	}
	s.learner.Close()
	return s.filter.Close()
}

// Opinion implements policy.JunkFilter.
func (s *sifter) Opinion(ctx context.Context, account store.AccountID, m *policy.Message, from policy.Sending) policy.Opinion {
	if s.filter.Stats().Octets == 0 {
		return policy.Opinion{} // nobody has taught it anything
	}
	ctx, cancel := context.WithTimeout(ctx, judging)
	defer cancel()
	t, err := s.filter.Read(junk.Message{Structure: m.Structure, Content: hurried{ctx, m.Body}, Client: junk.Client{Addr: from.Addr, Helo: from.Helo, Name: from.Name}})
	var j junk.Judgement
	if err == nil {
		j, err = s.filter.Score(ctx, junk.Account(account), t)
	}
	if err != nil {
		s.h.Log.Log(event.JunkFailed, event.Err(err))
		return policy.Opinion{Problem: "the filter gave no answer"}
	}
	return opinionOf(&j)
}

func opinionOf(j *junk.Judgement) policy.Opinion {
	if !j.Known {
		return policy.Opinion{}
	}
	o := policy.Opinion{Known: true, Probability: j.Probability}
	for _, r := range j.Reasons[:min(len(j.Reasons), spoken)] {
		o.Reasons = append(o.Reasons, fmt.Sprintf("%s %s %.2f", r.Where, strconv.Quote(r.Text), r.Probability))
	}
	return o
}

// forget forgets what a removed account has taught.
func (s *sifter) forget(ctx context.Context, id store.AccountID) {
	if err := s.filter.Remove(context.WithoutCancel(ctx), junk.Account(id)); err != nil {
		s.h.Log.Log(event.JunkFailed, event.Err(err))
	}
}

// Copy implements local.Filter.
func (s *sifter) Copy(ctx context.Context, account store.AccountID, m *policy.Message) policy.Copy {
	rule := s.h.handles.policy.Get().Junk
	if rule.Mode != policy.Enforce {
		return policy.Copy{}
	}
	return rule.Copy(s.Opinion(ctx, account, m, policy.Sending{}))
}

// hurried is content that is read no longer than ctx lasts.
type hurried struct {
	ctx context.Context
	io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (h hurried) ReadAt(p []byte, off int64) (int, error) {
	if err := h.ctx.Err(); err != nil {
		return 0, err
	}
	return h.ReaderAt.ReadAt(p, off)
}
