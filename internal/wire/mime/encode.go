package mime

import "encoding/binary"

// The stored form, all numbers varints:
//
//	version · facts · counts of parts, parameters, addresses, envelopes ·
//	the parts in order, each: parts inside it, which optional fields follow,
//	header start as a difference, header length, body length, lines, type,
//	subtype, encoding, the optional fields.
//
// A token is an index into words or its length and octets.
const encodingVersion = 1

// words are stored by index: entries may be added at the end, never moved.
var words = [...]string{
	"", "text", "plain", "html", "multipart", "alternative", "mixed", "related", "report", "signed",
	"encrypted", "digest", "message", "rfc822", "delivery-status", "disposition-notification",
	"application", "octet-stream", "pdf", "image", "jpeg", "png", "gif", "calendar", "csv", "zip",
	"pkcs7-signature", "pgp-signature", "audio", "video", "7bit", "8bit", "binary", "base64",
	"quoted-printable", "charset", "boundary", "name", "filename", "format", "delsp", "type", "method",
	"protocol", "micalg", "report-type", "size", "creation-date", "modification-date", "us-ascii",
	"utf-8", "UTF-8", "iso-8859-1", "ISO-8859-1", "iso-8859-15", "windows-1252", "US-ASCII", "flowed",
	"fixed", "yes", "no", "inline", "attachment", "REQUEST", "text/html", "multipart/alternative",
}

var wordIndex = func() map[string]uint64 {
	m := make(map[string]uint64, len(words))
	for i, w := range words {
		m[w] = uint64(i)
	}
	return m
}()

// Which optional fields of a part follow.
const (
	hasParams = 1 << iota
	hasID
	hasDescription
	hasMD5
	hasLocation
	hasLanguage
	hasDisposition
	hasEnvelope
)

// AppendBinary appends the structure's stored form; it never fails. It
// implements encoding.BinaryAppender.
func (s *Structure) AppendBinary(dst []byte) ([]byte, error) {
	dst = append(dst, encodingVersion)
	for _, n := range [...]uint64{
		uint64(s.Size), uint64(s.Opaque), uint64(s.Flags), uint64(s.Fields),
		uint64(s.Received), uint64(s.FromFields), uint64(s.LongestLine),
	} {
		dst = binary.AppendUvarint(dst, n)
	}
	dst = appendTexts(dst, s.DeliveredTo)
	dst = appendText(dst, s.References)
	var params, addresses, envelopes int
	for i := range s.Parts {
		p := &s.Parts[i]
		params += len(p.Params) + len(p.DispositionParams)
		if p.Envelope != nil {
			envelopes++
			addresses += p.Envelope.addresses()
		}
	}
	for _, n := range [...]int{len(s.Parts), params, addresses, envelopes} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	var at int64
	for i := range s.Parts {
		dst = s.Parts[i].appendBinary(dst, i, at)
		at = s.Parts[i].Header.Start
	}
	return dst, nil
}

func (p *Part) appendBinary(dst []byte, index int, at int64) []byte {
	optional := p.optional()
	dst = binary.AppendUvarint(dst, uint64(int(p.end)-index-1))
	dst = append(dst, optional)
	dst = binary.AppendVarint(dst, p.Header.Start-at)
	dst = binary.AppendUvarint(dst, uint64(p.Header.Len()))
	dst = binary.AppendUvarint(dst, uint64(p.Body.Len()))
	dst = binary.AppendUvarint(dst, uint64(p.Lines))
	dst = appendWord(dst, p.Type)
	dst = appendWord(dst, p.Subtype)
	dst = appendWord(dst, p.Encoding)
	if optional&hasParams != 0 {
		dst = appendParamList(dst, p.Params)
	}
	for _, v := range [...]struct {
		bit  byte
		text string
	}{{hasID, p.ID}, {hasDescription, p.Description}, {hasMD5, p.MD5}, {hasLocation, p.Location}} {
		if optional&v.bit != 0 {
			dst = appendText(dst, v.text)
		}
	}
	if optional&hasLanguage != 0 {
		dst = appendTexts(dst, p.Language)
	}
	if optional&hasDisposition != 0 {
		dst = appendWord(dst, p.Disposition)
		dst = appendParamList(dst, p.DispositionParams)
	}
	if optional&hasEnvelope != 0 {
		dst = p.Envelope.appendBinary(dst)
	}
	return dst
}

func (p *Part) optional() byte {
	var bits byte
	for _, v := range [...]struct {
		bit byte
		has bool
	}{
		{hasParams, len(p.Params) > 0},
		{hasID, p.ID != ""},
		{hasDescription, p.Description != ""},
		{hasMD5, p.MD5 != ""},
		{hasLocation, p.Location != ""},
		{hasLanguage, len(p.Language) > 0},
		{hasDisposition, p.Disposition != "" || len(p.DispositionParams) > 0},
		{hasEnvelope, p.Envelope != nil},
	} {
		if v.has {
			bits |= v.bit
		}
	}
	return bits
}

// lists gives the address fields in their stored order.
func (e *Envelope) lists() [6]*[]Address {
	return [6]*[]Address{&e.From, &e.Sender, &e.ReplyTo, &e.To, &e.Cc, &e.Bcc}
}

// texts gives the other fields in the order of their bits in Presence.
func (e *Envelope) texts() [4]*string {
	return [4]*string{&e.Date, &e.Subject, &e.InReplyTo, &e.MessageID}
}

func (e *Envelope) appendBinary(dst []byte) []byte {
	dst = append(dst, byte(e.Present))
	for i, t := range e.texts() {
		if e.Present&(1<<i) != 0 {
			dst = appendText(dst, *t)
		}
	}
	for _, list := range e.lists() {
		dst = binary.AppendUvarint(dst, uint64(len(*list)))
		for i := range *list {
			dst = (*list)[i].appendBinary(dst)
		}
	}
	return dst
}

// Bits of an address beside its kind.
const (
	addressKindMask = 3
	addressName     = 1 << 2
	addressRoute    = 1 << 3
	addressHost     = 1 << 4
)

func (a *Address) appendBinary(dst []byte) []byte {
	bits := byte(a.Kind)
	if a.Name != "" {
		bits |= addressName
	}
	if a.Route != "" {
		bits |= addressRoute
	}
	if a.Host != "" {
		bits |= addressHost
	}
	dst = append(dst, bits)
	dst = appendText(dst, a.Mailbox)
	if a.Name != "" {
		dst = appendText(dst, a.Name)
	}
	if a.Route != "" {
		dst = appendText(dst, a.Route)
	}
	if a.Host != "" {
		dst = appendText(dst, a.Host)
	}
	return dst
}

func appendParamList(dst []byte, params []Param) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(params)))
	for i := range params {
		var extended byte
		if params[i].Extended {
			extended = 1
		}
		dst = append(dst, extended)
		dst = appendWord(dst, params[i].Name)
		dst = appendWord(dst, params[i].Value)
	}
	return dst
}

func appendWord(dst []byte, s string) []byte {
	if i, ok := wordIndex[s]; ok {
		return binary.AppendUvarint(dst, i<<1|1)
	}
	dst = binary.AppendUvarint(dst, uint64(len(s))<<1)
	return append(dst, s...)
}

func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendTexts(dst []byte, list []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, s := range list {
		dst = appendText(dst, s)
	}
	return dst
}
