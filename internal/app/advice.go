package app

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/policy/check"
	"posthorn/internal/policy/evidence"
	"posthorn/internal/state/setting"
)

// adviceTime bounds the looks into DNS that an answer to a change waits for.
const adviceTime = 10 * time.Second

// advise says what an administrator should know about a change of settings
// that is allowed and may still be a mistake.
func (h *House) advise(ctx context.Context, changes []setting.Difference) []string {
	ctx, stop := context.WithTimeout(ctx, adviceTime)
	defer stop()
	var all []string
	for _, c := range changes {
		switch c.Name {
		case "policy.classes.lists", "policy.blocklists.lists":
			all = append(all, h.tryLists(ctx, c)...)
		case "policy.virus.server":
			all = append(all, h.askScanners(ctx, c, "virus", "policy.virus.when_down")...)
		case "policy.spam.url":
			all = append(all, h.askScanners(ctx, c, "spam", "policy.spam.when_down")...)
		case "policy.milters.servers":
			all = append(all, h.askScanners(ctx, c, "milter", "policy.milters.fallback")...)
		case "policy.recipients.inbound":
			if n, err := strconv.Atoi(c.New); err == nil && n > 0 && n < 100 {
				all = append(all, "policy.recipients.inbound: fewer than 100 recipients is less than RFC 5321 §4.5.3.1.8 promises to senders")
			}
		case "policy.trust.clients":
			for _, c := range h.handles.policy.Get().Trust.Clients {
				if p := c.Network; !check.Private(p) {
					all = append(all, fmt.Sprintf("policy.trust.clients: %s is no private network; every host in it may send mail to anywhere through this server", p))
				}
			}
		case "policy.names.helo_match":
			if c.New == "exact" {
				all = append(all, "policy.names.helo_match: exact refuses many legitimate senders; RFC 5321 §4.1.4 forbids to refuse mail for this alone")
			}
		}
	}
	return all
}

// tryLists asks DNS lists that are new in a setting for their test addresses
// (RFC 5782 §5, B1G-BL-01).
func (h *House) tryLists(ctx context.Context, c setting.Difference) []string {
	names, ok := h.sources.Names.(*evidence.Names)
	if !ok {
		return nil
	}
	known := map[string]bool{}
	for _, zone := range zones(c.Old) {
		known[zone] = true
	}
	var all []string
	for _, zone := range zones(c.New) {
		if known[zone] {
			continue
		}
		known[zone] = true
		if r := names.CheckList(ctx, zone); !r.Works() {
			all = append(all, c.Name+": "+zone+" does not behave like a DNS list (RFC 5782 §5). "+r.String())
		}
	}
	return all
}

// askScanners tells of scanners that do not answer; fate is the setting that
// says what becomes of mail until they do.
func (h *House) askScanners(ctx context.Context, c setting.Difference, kind, fate string) []string {
	var all []string
	for _, d := range h.sources.Scanners.Down(ctx) {
		if d.Kind == kind {
			all = append(all, fmt.Sprintf("%s: no answer now (%s). Until there is one, mail is treated as %s says; posthorn policy scanners asks again", c.Name, d.Problem, fate))
		}
	}
	return all
}

// zones are what stands before the signs in the rules of a setting's text.
func zones(text string) []string {
	var all []string
	for rule := range strings.FieldsFuncSeq(text, func(c rune) bool { return strings.ContainsRune(" ,[]\"", c) }) {
		zone, _, _ := strings.Cut(rule, "=")
		all = append(all, strings.ToLower(zone))
	}
	return all
}
