package record

import (
	"encoding/binary"
	"time"
)

// A record is one octet of kind and its fields in order: numbers as varints,
// texts and lists with their length before them, times in microseconds.
//
// The kind is also the version: 1 and 2 are attempts and events as they were
// before steps had facts and events named copies. They are read, not written.
// 5 is an event that names another message.
const (
	kindBareAttempt byte = 1
	kindBareEvent   byte = 2
	kindAttempt     byte = 3
	kindEvent       byte = 4
	kindLink        byte = 5
)

// Bounds of one record; what is longer is cut, what is more is left out.
// Values are what checks were told, which a rehearsal wants to read whole.
const (
	maxText  = 1 << 10
	maxValue = 4 << 10
	maxList  = 1 << 10
)

func appendText(b []byte, s string) []byte { return appendBounded(b, s, maxText) }

func appendBounded(b []byte, s string, most int) []byte {
	s = s[:min(len(s), most)]
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendTexts(b []byte, list []string) []byte {
	list = list[:min(len(list), maxList)]
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixMicro())
}

func appendDuration(b []byte, d time.Duration) []byte {
	return binary.AppendVarint(b, int64(d))
}

// appendHead writes what stands before the steps of an attempt.
func appendHead(b []byte, a *Attempt) []byte {
	b = append(b, kindAttempt)
	b = append(b, a.ID[:]...)
	b = append(b, a.Session.ID[:]...)
	b = appendTime(b, a.Begin)
	b = appendDuration(b, a.End)
	flags := byte(a.Outcome) << 1
	if a.HasSender {
		flags |= 1
	}
	b = append(b, flags)
	ip := a.Client.AsSlice()
	b = append(b, byte(len(ip)))
	b = append(b, ip...)
	b = binary.AppendUvarint(b, uint64(a.Port))
	for _, s := range [...]string{a.Listener, a.Kind, a.Trust, a.Hostname, a.Helo, a.TLS, a.Login, a.Sender} {
		b = appendText(b, s)
	}
	b = binary.AppendVarint(b, a.Account)
	b = appendTexts(b, a.Recipients)
	b = binary.AppendVarint(b, a.Size)
	b = binary.AppendVarint(b, int64(a.Hops))
	b = appendTexts(b, a.Authors)
	return binary.AppendUvarint(b, uint64(a.Lost))
}

func appendStep(b []byte, s *Step) []byte {
	b = appendDuration(b, s.After)
	for _, text := range [...]string{s.Verb, s.Argument, s.Reply, s.Check, s.Reason, s.Setting} {
		b = appendText(b, text)
	}
	b = appendDuration(b, s.Delay)
	checks := s.Checks[:min(len(s.Checks), maxList)]
	b = binary.AppendUvarint(b, uint64(len(checks)))
	for i := range checks {
		b = appendCheck(b, &checks[i])
	}
	return appendInputs(b, s.Facts)
}

func appendInputs(b []byte, inputs []Input) []byte {
	inputs = inputs[:min(len(inputs), maxList)]
	b = binary.AppendUvarint(b, uint64(len(inputs)))
	for i := range inputs {
		b = appendText(b, inputs[i].Name)
		b = appendBounded(b, inputs[i].Value, maxValue)
	}
	return b
}

func appendCheck(b []byte, c *Check) []byte {
	for _, text := range [...]string{c.Name, c.Setting, c.Action, c.Mode, c.Skipped, c.Reason} {
		b = appendText(b, text)
	}
	b = appendDuration(b, c.Cost)
	return appendInputs(b, c.Inputs)
}

func appendEvent(b []byte, e *Event) []byte {
	kind := kindEvent
	if !e.Other.IsZero() {
		kind = kindLink
	}
	b = append(b, kind)
	b = append(b, e.ID[:]...)
	b = appendTime(b, e.Time)
	b = append(b, byte(e.Kind))
	for _, text := range [...]string{e.Recipient, e.Place, e.Reply, e.By} {
		b = appendText(b, text)
	}
	b = appendTime(b, e.Next)
	b = binary.AppendVarint(b, e.Account)
	b = binary.AppendVarint(b, e.Arrived)
	if kind == kindLink {
		b = append(b, e.Other[:]...)
	}
	return b
}
