package archive

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// Type is the real type of a file. The words are those of rules and reports.
type Type string

// The types. Unknown is everything else, plain text among it.
const (
	Unknown Type = ""

	Zip   Type = "zip"
	OOXML Type = "ooxml" // docx, xlsx, pptx and their kin
	ODF   Type = "odf"
	Jar   Type = "jar"
	Gzip  Type = "gzip"
	Bzip2 Type = "bzip2"
	Tar   Type = "tar"

	SevenZip Type = "7z"
	RAR      Type = "rar"
	XZ       Type = "xz"
	Zstd     Type = "zstd"
	Cab      Type = "cab"
	ISO      Type = "iso" // ISO 9660 and UDF images
	ARJ      Type = "arj"
	ACE      Type = "ace"
	LZH      Type = "lzh"
	Compress Type = "compress"
	VHD      Type = "vhd"
	TNEF     Type = "tnef" // winmail.dat

	EXE    Type = "exe" // DOS and Windows programs and libraries
	ELF    Type = "elf"
	MachO  Type = "macho"
	Class  Type = "class" // Java
	Script Type = "script"
	LNK    Type = "lnk" // Windows shortcut
	CHM    Type = "chm"

	OLE     Type = "ole" // doc, xls, ppt, msi, msg
	OneNote Type = "onenote"
	RTF     Type = "rtf"
	PDF     Type = "pdf"
	HTML    Type = "html"
	PNG     Type = "png"
	JPEG    Type = "jpeg"
	GIF     Type = "gif"
)

// types lists all of them, for those who check what an administrator writes.
var types = [...]Type{Zip, OOXML, ODF, Jar, Gzip, Bzip2, Tar, SevenZip, RAR, XZ, Zstd, Cab, ISO, ARJ, ACE, LZH, Compress, VHD, TNEF,
	EXE, ELF, MachO, Class, Script, LNK, CHM, OLE, OneNote, RTF, PDF, HTML, PNG, JPEG, GIF}

// ParseType finds a type by its word.
func ParseType(s string) (Type, bool) {
	for _, t := range types {
		if string(t) == s {
			return t, true
		}
	}
	return Unknown, false
}

// IsArchive reports a type that holds other files and is none of the document
// types made of them.
func (t Type) IsArchive() bool {
	switch t {
	case Zip, Jar, Gzip, Bzip2, Tar, SevenZip, RAR, XZ, Zstd, Cab, ISO, ARJ, ACE, LZH, Compress, VHD, TNEF:
		return true
	}
	return false
}

// IsExecutable reports a type that runs when it is opened.
func (t Type) IsExecutable() bool {
	switch t {
	case EXE, ELF, MachO, Class, Jar, Script, LNK, CHM:
		return true
	}
	return false
}

// isoOffset is where the first volume descriptor's identifier stands
// (ECMA-119 §8.1); peekSize reaches behind it.
const (
	isoOffset = 32<<10 + 1
	peekSize  = 33 << 10
)

var magics = []struct {
	at    int
	octet string
	kind  Type
}{
	{0, "PK\x03\x04", Zip}, {0, "PK\x05\x06", Zip}, {0, "PK\x07\x08PK\x03\x04", Zip}, {0, "PK00PK\x03\x04", Zip},
	{0, "\x1f\x8b\x08", Gzip}, {0, "\x1f\x9d", Compress}, {0, "\x1f\xa0", Compress},
	{0, "7z\xbc\xaf\x27\x1c", SevenZip}, {0, "Rar!\x1a\x07", RAR}, {0, "\xfd7zXZ\x00", XZ}, {0, "\x28\xb5\x2f\xfd", Zstd},
	{0, "MSCF\x00\x00\x00\x00", Cab}, {0, "\x60\xea", ARJ}, {7, "**ACE**", ACE}, {2, "-lh", LZH}, {2, "-lz", LZH},
	{0, "vhdxfile", VHD}, {0, "conectix", VHD}, {0, "\x78\x9f\x3e\x22", TNEF},
	{isoOffset, "CD001", ISO}, {isoOffset, "BEA01", ISO}, {isoOffset, "NSR0", ISO},
	{0, "\x7fELF", ELF}, {0, "\xfe\xed\xfa\xce", MachO}, {0, "\xfe\xed\xfa\xcf", MachO}, {0, "\xce\xfa\xed\xfe", MachO},
	{0, "\xcf\xfa\xed\xfe", MachO}, {0, "#!", Script}, {0, "L\x00\x00\x00\x01\x14\x02\x00", LNK}, {0, "ITSF\x03\x00\x00\x00", CHM},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE}, {0, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", OneNote}, {0, "{\\rtf", RTF},
	{0, "\x89PNG\r\n\x1a\n", PNG}, {0, "\xff\xd8\xff", JPEG}, {0, "GIF87a", GIF}, {0, "GIF89a", GIF},
}

// Identify says what a file is by its first octets, of which 33 KiB are
// enough. A zip's kin are told apart by its members only (Walk).
func Identify(head []byte) Type {
	for _, m := range magics {
		if len(head) > m.at && bytes.HasPrefix(head[m.at:], []byte(m.octet)) {
			return m.kind
		}
	}
	switch {
	case bytes.HasPrefix(head, []byte("MZ")) && len(head) >= 64:
		return EXE
	case bytes.HasPrefix(head, []byte("BZh")) && len(head) >= 10 && isBzip2(head):
		return Bzip2
	case bytes.HasPrefix(head, []byte("\xca\xfe\xba\xbe")) && len(head) >= 8:
		// A universal binary counts its architectures where a class file has
		// its version, 45 or more.
		if binary.BigEndian.Uint32(head[4:]) < 45 {
			return MachO
		}
		return Class
	case isTar(head):
		return Tar
	case bytes.Contains(head[:min(len(head), 1024)], []byte("%PDF-")): // where readers look for it
		return PDF
	}
	return identifyText(head)
}

func isBzip2(head []byte) bool {
	block := string(head[4:10])
	return head[3] >= '1' && head[3] <= '9' && (block == "1AY&SY" || block == "\x17\x72\x45\x38\x50\x90")
}

// isTar checks the header's sum, which old archives without magic have too.
func isTar(head []byte) bool {
	const size, sumAt, sumLen = 512, 148, 8
	if len(head) < size || head[0] == 0 {
		return false
	}
	field := bytes.Trim(head[sumAt:sumAt+sumLen], " \x00")
	want, err := strconv.ParseInt(string(field), 8, 64)
	if err != nil {
		return false
	}
	sum := int64(sumLen * ' ')
	for i, c := range head[:size] {
		if i < sumAt || i >= sumAt+sumLen {
			sum += int64(c)
		}
	}
	return sum == want
}

var beginnings = []struct {
	text string
	kind Type
}{
	{"<!doctype html", HTML}, {"<html", HTML}, {"<head", HTML}, {"<body", HTML}, {"<script", HTML}, {"<iframe", HTML},
	{"<?php", Script}, {"@echo off", Script}, {"<job", Script}, {"<package", Script},
}

func identifyText(head []byte) Type {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	head = bytes.TrimLeft(head, " \t\r\n")
	head = bytes.ToLower(head[:min(len(head), 32)])
	for _, b := range beginnings {
		if bytes.HasPrefix(head, []byte(b.text)) {
			return b.kind
		}
	}
	return Unknown
}

// rarEncrypted reports a rar whose headers are encrypted or, in the old
// format, whose first file is.
func rarEncrypted(head []byte) bool {
	const old, new = 7, 8 // lengths of the marks
	switch {
	case bytes.HasPrefix(head, []byte("Rar!\x1a\x07\x00")) && len(head) >= old+7:
		main := head[old:]
		if binary.LittleEndian.Uint16(main[3:])&0x80 != 0 {
			return true
		}
		size := int(binary.LittleEndian.Uint16(main[5:]))
		if len(main) < size+7 {
			return false
		}
		file := main[size:]
		return file[2] == 0x74 && binary.LittleEndian.Uint16(file[3:])&0x04 != 0
	case bytes.HasPrefix(head, []byte("Rar!\x1a\x07\x01\x00")) && len(head) >= new+6:
		// CRC (4), size and type as numbers of seven bits an octet; the
		// encryption header, type 4, comes first if there is one.
		_, n := binary.Uvarint(head[new+4:])
		if n <= 0 {
			return false
		}
		kind, _ := binary.Uvarint(head[new+4+n:])
		return kind == 4
	}
	return false
}
