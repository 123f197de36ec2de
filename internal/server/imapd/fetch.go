package imapd

import (
	"context"
	"slices"
	"time"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
	"posthorn/internal/wire/mime"
)

// runFetch is FETCH and UID FETCH (RFC 3501 §6.4.5, RFC 7162 §3.1.4, §3.2.6).
func runFetch(ctx context.Context, c *conn, cmd imap.Command) imap.Response {
	arg, err := c.dec.Fetch()
	if err != nil {
		return failed(err)
	}
	if arg.Vanished && !(cmd.UID && c.session.qresync) || arg.Attrs&unknownAttrs != 0 {
		return imap.Response{Status: imap.BAD, Text: "Fetch item or modifier of an extension that is not offered"}
	}
	if arg.ChangedSince != 0 || arg.Attrs&imap.FetchModSeq != 0 {
		c.session.condStore = true
	}
	f := fetcher{c: c, v: c.session.view, arg: arg}
	if cmd.UID {
		f.arg.Attrs |= imap.FetchUID
	}
	if arg.ChangedSince != 0 {
		f.arg.Attrs |= imap.FetchModSeq
	}
	if f.indexes, err = f.v.resolve(arg.Set, cmd.UID); err != nil {
		return failed(err)
	}
	if arg.Vanished {
		if err := f.v.tellVanished(ctx, arg.Set, store.ModSeq(arg.ChangedSince)); err != nil {
			return failed(err)
		}
	}
	f.narrow()
	if err := f.run(ctx); err != nil {
		return failed(err)
	}
	switch {
	case f.unknownCTE:
		return no(imap.CodeUnknownCTE, "A part's encoding is not known")
	case f.missing && !cmd.UID: // a UID that is not there is no fault (RFC 3501 §6.4.8)
		return no(codeExpungeIssued, "Some of the messages are expunged")
	}
	return completed("FETCH")
}

// unknownAttrs are items the grammar knows and this server does not offer.
const unknownAttrs = imap.FetchPreview | imap.FetchPreviewLazy

// needMeta are items that are answered from a message's structure.
const needMeta = imap.FetchEnvelope | imap.FetchBody | imap.FetchBodyStructure

// fetcher is one FETCH.
type fetcher struct {
	c       *conn
	v       *view
	arg     imap.Fetch
	indexes []int
	flags   *flagWriter
	// seen are the messages whose \Seen this FETCH set.
	seen       map[store.UID]bool
	missing    bool // a message was expunged meanwhile
	unknownCTE bool
	bodies     *shelf
	saved      map[store.UID]time.Time // of the batch, if asked for

	structure mime.Structure
	scratch   []byte
}

// narrow leaves out messages that did not change since, and what lies outside
// the window (RFC 9394 §3.2).
func (f *fetcher) narrow() {
	if since := store.ModSeq(f.arg.ChangedSince); since != 0 {
		f.indexes = slices.DeleteFunc(f.indexes, func(i int) bool { return f.v.told.At(i).ModSeq <= since })
	}
	lo, hi := f.arg.Window.Of(len(f.indexes))
	f.indexes = f.indexes[min(lo, hi):hi]
}

// metaBatch is how many structures are read at once; no read of the store is
// open while the client is written to.
const metaBatch = 128

func (f *fetcher) run(ctx context.Context) error {
	if err := f.setSeen(ctx); err != nil {
		return err
	}
	f.flags = f.v.flagWriter()
	f.bodies = f.c.shelf(f.indexes)
	defer f.bodies.clear()
	withMeta := f.arg.Attrs&needMeta != 0 || slices.ContainsFunc(f.arg.Sections, needsStructure)
	for batch := range slices.Chunk(f.indexes, metaBatch) {
		var metas map[store.MessageID][]byte
		if withMeta {
			var err error
			if metas, err = f.v.metas(ctx, batch); err != nil {
				return err
			}
		}
		if f.arg.Attrs&imap.FetchSaveDate != 0 {
			var err error
			if f.saved, err = f.v.saveDates(ctx, f.v.told.UIDs(batch)); err != nil {
				return err
			}
		}
		for _, i := range batch {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f.message(ctx, i, withMeta, metas); err != nil {
				return err
			}
		}
		if err := f.c.enc.Err(); err != nil {
			return err
		}
	}
	return nil
}

// setSeen marks what is about to be read, all of it in one commit. If that
// cannot be stored the messages are still shown.
func (f *fetcher) setSeen(ctx context.Context) error {
	if f.v.readOnly || !slices.ContainsFunc(f.arg.Sections, func(s imap.Section) bool { return !s.Peek }) {
		return nil
	}
	unseen := slices.DeleteFunc(slices.Clone(f.indexes), func(i int) bool { return f.v.told.At(i).Flags&store.FlagSeen != 0 })
	if len(unseen) == 0 {
		return nil
	}
	result, err := f.c.session.account.SetFlags(ctx, f.v.id, store.FlagUpdate{UIDs: f.v.told.UIDs(unseen), Op: store.FlagsAdd, Flags: store.FlagSeen})
	if err != nil {
		if r := failed(err); r.Cause != nil {
			f.c.noteCause("FETCH", r.Cause)
		}
		return nil
	}
	f.v.refreshed(ctx)
	f.v.note(result.Changed)
	f.seen = make(map[store.UID]bool, len(result.Changed))
	for i := range result.Changed {
		f.seen[result.Changed[i].UID] = true
	}
	return nil
}

// metas reads the structures of a batch.
func (v *view) metas(ctx context.Context, batch []int) (map[store.MessageID][]byte, error) {
	entries := make([]store.Entry, len(batch))
	for k, i := range batch {
		entries[k] = *v.told.At(i)
	}
	return v.box.Metas(ctx, entries)
}

// message answers for one message. One that is gone is left out and remembered.
func (f *fetcher) message(ctx context.Context, i int, withMeta bool, metas map[store.MessageID][]byte) error {
	e := f.v.told.At(i)
	if withMeta {
		meta := metas[e.Message]
		if meta == nil {
			f.missing = true
			return nil
		}
		f.structure = mime.Structure{}
		if err := f.structure.UnmarshalBinary(meta); err != nil {
			return err
		}
	}
	var body store.Body
	if slices.ContainsFunc(f.arg.Sections, needsBody) {
		var err error
		if body, err = f.bodies.take(ctx, i); err != nil {
			return err
		}
		if body == nil {
			f.missing = true
			return nil
		}
		defer closeBody(f.c, body)
	}
	enc := f.c.enc
	enc.Untagged()
	enc.Number(uint64(i + 1))
	enc.Atom("FETCH")
	enc.Open()
	f.attributes(e)
	for k := range f.arg.Sections {
		if err := f.section(&f.arg.Sections[k], e, body); err != nil {
			return err
		}
	}
	enc.Close()
	enc.End()
	return nil
}

// attributes writes what needs no body.
func (f *fetcher) attributes(e *store.Entry) {
	enc, attrs := f.c.enc, f.arg.Attrs
	if attrs&imap.FetchUID != 0 {
		enc.Atom("UID")
		enc.Number(uint64(e.UID))
	}
	seen := f.seen[e.UID]
	if attrs&imap.FetchFlags != 0 || seen {
		enc.Atom("FLAGS")
		enc.Atom(f.flags.text(e))
	}
	if attrs&imap.FetchModSeq != 0 || (seen || attrs&imap.FetchFlags != 0) && f.c.session.condStore {
		f.v.writeModSeq(e.ModSeq)
	}
	if attrs&imap.FetchInternalDate != 0 {
		enc.Atom("INTERNALDATE")
		enc.DateTime(time.UnixMicro(e.Internal).UTC())
	}
	if attrs&imap.FetchSaveDate != 0 {
		enc.Atom("SAVEDATE")
		if saved, ok := f.saved[e.UID]; ok {
			enc.DateTime(saved)
		} else {
			enc.Nil()
		}
	}
	if attrs&imap.FetchSize != 0 {
		enc.Atom("RFC822.SIZE")
		enc.Number(uint64(e.Size))
	}
	if attrs&imap.FetchEmailID != 0 {
		enc.Atom("EMAILID")
		enc.Atom("(" + emailID(e.Message) + ")")
	}
	if attrs&imap.FetchThreadID != 0 {
		enc.Atom("THREADID NIL")
	}
	f.rendered(imap.FetchEnvelope, "ENVELOPE", f.structure.AppendEnvelope)
	f.rendered(imap.FetchBody, "BODY", f.structure.AppendBody)
	f.rendered(imap.FetchBodyStructure, "BODYSTRUCTURE", f.structure.AppendBodyStructure)
}

func (f *fetcher) rendered(attr imap.FetchAttr, name string, render func([]byte) []byte) {
	if f.arg.Attrs&attr != 0 {
		f.c.enc.Atom(name)
		f.c.enc.Appended(render)
	}
}
