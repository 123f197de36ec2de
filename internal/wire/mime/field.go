package mime

import "bytes"

// fieldID names a header field the parser reads.
type fieldID uint8

const (
	fieldOther fieldID = iota
	// Fields of every part.
	fieldContentType
	fieldContentID
	fieldContentDescription
	fieldContentEncoding
	fieldContentMD5
	fieldContentDisposition
	fieldContentLanguage
	fieldContentLocation
	// Fields of every message.
	fieldDate
	fieldSubject
	fieldFrom
	fieldSender
	fieldReplyTo
	fieldTo
	fieldCc
	fieldBcc
	fieldInReplyTo
	fieldMessageID
	// Fields of the outermost message.
	fieldReceived
	fieldDeliveredTo
	fieldReturnPath
	fieldAutoSubmitted
	fieldListID
	fieldPrecedence
	fieldReferences
	fieldMIMEVersion
)

const longestFieldName = 25

func identify(name []byte) fieldID {
	var buf [longestFieldName]byte
	if len(name) > len(buf) {
		return fieldOther
	}
	n := copy(buf[:], name)
	switch string(lowerInPlace(buf[:n])) {
	case "content-type":
		return fieldContentType
	case "content-id":
		return fieldContentID
	case "content-description":
		return fieldContentDescription
	case "content-transfer-encoding":
		return fieldContentEncoding
	case "content-md5":
		return fieldContentMD5
	case "content-disposition":
		return fieldContentDisposition
	case "content-language":
		return fieldContentLanguage
	case "content-location":
		return fieldContentLocation
	case "date":
		return fieldDate
	case "subject":
		return fieldSubject
	case "from":
		return fieldFrom
	case "sender":
		return fieldSender
	case "reply-to":
		return fieldReplyTo
	case "to":
		return fieldTo
	case "cc":
		return fieldCc
	case "bcc":
		return fieldBcc
	case "in-reply-to":
		return fieldInReplyTo
	case "message-id":
		return fieldMessageID
	case "received":
		return fieldReceived
	case "delivered-to":
		return fieldDeliveredTo
	case "return-path":
		return fieldReturnPath
	case "auto-submitted":
		return fieldAutoSubmitted
	case "list-id":
		return fieldListID
	case "precedence":
		return fieldPrecedence
	case "references":
		return fieldReferences
	case "mime-version":
		return fieldMIMEVersion
	}
	return fieldOther
}

// splitField cuts a header line into name and value. White space before the
// colon is allowed as RFC 5322 §4.5 does.
func splitField(line []byte) (name, value []byte, ok bool) {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return nil, nil, false
	}
	name = line[:colon]
	for isWSP(name[len(name)-1]) {
		if name = name[:len(name)-1]; len(name) == 0 {
			return nil, nil, false
		}
	}
	for _, c := range name {
		if isWSP(c) {
			return nil, nil, false
		}
	}
	return name, line[colon+1:], true
}

// startField begins a field and decides whether it is worth collecting.
func (p *Parser) startField(line []byte) {
	name, value, ok := splitField(line)
	if !ok {
		return
	}
	p.sectionCount++
	p.cut = false
	if len(p.stack) == 1 {
		p.s.Fields++
	}
	id := identify(name)
	if id == fieldReceived && len(p.stack) == 1 {
		p.s.Received++
	}
	if p.sectionCount > MaxHeaderFields || p.sectionSize > MaxHeaderSize {
		p.s.Opaque |= LimitHeader
		if id == fieldFrom && len(p.stack) == 1 {
			p.s.FromFields++
			p.s.Opaque |= LimitAuthors
		}
		return
	}
	if p.wants(id) {
		p.id = id
		p.field = append(p.field[:0], value...)
	}
}

// wants reports whether a field matters where it stands.
func (p *Parser) wants(id fieldID) bool {
	o, _ := p.top()
	switch {
	case id == fieldOther || id == fieldReceived:
		return false
	case id <= fieldContentLocation:
		return true
	case id <= fieldMessageID:
		return o.root
	default:
		return len(p.stack) == 1
	}
}

// continueField unfolds: the line end goes, the white space stays (RFC 5322 §2.2.3).
func (p *Parser) continueField(line []byte) {
	if p.id == fieldOther {
		return
	}
	if p.sectionSize > MaxHeaderSize {
		p.s.Opaque |= LimitHeader
		p.cut = true
		return
	}
	room := maxField - len(p.field)
	if room < len(line) {
		p.s.Opaque |= LimitValue
		p.cut = true
		line = line[:room]
	}
	p.field = append(p.field, line...)
}

// endField reads the collected field, if any.
func (p *Parser) endField() {
	id := p.id
	if id == fieldOther {
		return
	}
	p.id = fieldOther
	value := trimLWSP(p.field)
	switch {
	case id <= fieldContentLocation:
		p.contentField(id, value)
	case id <= fieldMessageID:
		p.envelopeField(id, value)
	default:
		p.factField(id, value)
	}
}

// contentField reads a field of RFC 2045. Of repeated fields the first counts.
func (p *Parser) contentField(id fieldID, value []byte) {
	o, part := p.top()
	switch id {
	case fieldContentType:
		if !o.typed {
			o.typed = true
			p.contentType(part, value)
		}
	case fieldContentDisposition:
		if !o.disposed {
			o.disposed = true
			part.Disposition, part.DispositionParams = p.disposition(value)
		}
	case fieldContentID:
		p.first(&part.ID, value, maxToken)
	case fieldContentDescription:
		p.first(&part.Description, value, maxText)
	case fieldContentEncoding:
		if part.Encoding == "" {
			part.Encoding = p.keepWord(firstToken(value))
		}
	case fieldContentMD5:
		p.first(&part.MD5, value, maxToken)
	case fieldContentLocation:
		p.first(&part.Location, value, maxText)
	case fieldContentLanguage:
		if part.Language == nil {
			part.Language = p.languages(value)
		}
	}
}

// envelopeField reads a field of RFC 5322 §3.6. Of repeated fields the first
// counts; address lists are joined (§4.5.3).
func (p *Parser) envelopeField(id fieldID, value []byte) {
	_, part := p.top()
	e := part.Envelope
	switch id {
	case fieldDate:
		p.text(e, PresentDate, &e.Date, value)
	case fieldSubject:
		p.text(e, PresentSubject, &e.Subject, value)
	case fieldInReplyTo:
		p.text(e, PresentInReplyTo, &e.InReplyTo, value)
	case fieldMessageID:
		p.text(e, PresentMessageID, &e.MessageID, value)
	case fieldFrom:
		whole := p.addressList(e, &e.From, value) && !p.cut
		if len(p.stack) == 1 {
			p.s.FromFields++
			if !whole {
				p.s.Opaque |= LimitAuthors
			}
		}
	case fieldSender:
		p.addressList(e, &e.Sender, value)
	case fieldReplyTo:
		p.addressList(e, &e.ReplyTo, value)
	case fieldTo:
		p.addressList(e, &e.To, value)
	case fieldCc:
		p.addressList(e, &e.Cc, value)
	case fieldBcc:
		p.addressList(e, &e.Bcc, value)
	}
}

func (p *Parser) factField(id fieldID, value []byte) {
	s := p.s
	switch id {
	case fieldDeliveredTo:
		if len(s.DeliveredTo) < maxDeliveredTo {
			s.DeliveredTo = append(s.DeliveredTo, p.keep(value, maxToken))
		}
	case fieldReturnPath:
		s.Flags |= HasReturnPath
	case fieldAutoSubmitted:
		if !equalFold(firstToken(value), "no") {
			s.Flags |= HasAutoSubmitted
		}
	case fieldListID:
		s.Flags |= HasListID
	case fieldPrecedence:
		if t := firstToken(value); equalFold(t, "bulk") || equalFold(t, "junk") || equalFold(t, "list") {
			s.Flags |= HasBulkPrecedence
		}
	case fieldReferences:
		if s.References == "" {
			s.References = p.references(value)
		}
	case fieldMIMEVersion:
		s.Flags |= HasMIMEVersion
	}
}

// text keeps an unstructured value and that the field was there.
func (p *Parser) text(e *Envelope, bit Presence, dst *string, value []byte) {
	if e.Present&bit == 0 {
		e.Present |= bit
		*dst = p.keep(value, maxText)
	}
}

func (p *Parser) first(dst *string, value []byte, limit int) {
	if *dst == "" {
		*dst = p.keep(value, limit)
	}
}

// keep stores a value in the structure, cut to a limit.
func (p *Parser) keep(value []byte, limit int) string {
	if len(value) > limit {
		p.s.Opaque |= LimitValue
		value = value[:limit]
	}
	kept, ok := p.arena.keep(value)
	if !ok {
		p.s.Opaque |= LimitValue
	}
	return kept
}

// keepWord is keep for what mostly is one of a few words.
func (p *Parser) keepWord(value []byte) string {
	if i, ok := wordIndex[string(value[:min(len(value), maxToken)])]; ok {
		return words[i]
	}
	return p.keep(value, maxToken)
}

// references keeps the last identifiers that fit: the nearest ancestors place
// a message in its thread.
func (p *Parser) references(value []byte) string {
	const limit = 2 << 10
	p.buf = p.buf[:0]
	for id := range identifiers(value) {
		if len(p.buf) > 0 {
			p.buf = append(p.buf, ' ')
		}
		p.buf = append(p.buf, id...)
	}
	v := p.buf
	if len(v) > limit {
		v = v[len(v)-limit:]
		v = v[bytes.IndexByte(v, '<')+1:]
		if i := bytes.IndexByte(v, '<'); i >= 0 {
			v = v[i:]
		} else {
			v = nil
		}
		p.s.Opaque |= LimitValue
	}
	return p.keep(v, limit)
}
