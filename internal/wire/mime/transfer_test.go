package mime

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"strings"
	"testing"
	"testing/iotest"
)

func TestTransferEncodingsAreDecoded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ encoding, in, want string }{
		{"7bit", "a=\r\n", "a=\r\n"},
		{"", "x", "x"},
		{"BINARY", "\x00", "\x00"},
		{"base64", "aGVs\r\nbG8=\r\n", "hello"},
		{"Base64", "aGVsbG8", "hello"},
		{"base64", "aGVs!bG8=aGVs\nbG8==", "hellohello"},
		{"base64", "_-8=", "\xff\xef"},
		{"base64", "a", ""},
		{"base64", "", ""},
		{"quoted-printable", "a=3Db=3d", "a=b="},
		{"quoted-printable", "soft=\r\n break=  \r\n=\n.", "soft break."},
		{"quoted-printable", "pad \t \r\nnext \nend ", "pad"[:3] + "\r\nnext\nend "},
		{"quoted-printable", "bad =4 =ZZ =\r=3", "bad =4 =ZZ =\r=3"},
		{"quoted-printable", "a\rb\r\rc\r\r\n", "a\rb\r\rc\r\r\n"},
		{"quoted-printable", "end=", "end"},
	} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "data and error": iotest.DataErrReader,
		} {
			r, err := DecodeReader(wrap(strings.NewReader(c.in)), c.encoding)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || string(got) != c.want {
				t.Errorf("%s %s %q: %q %v, want %q", name, c.encoding, c.in, got, err, c.want)
			}
		}
	}
	if _, err := DecodeReader(nil, "x-own"); !errors.Is(err, ErrUnknownEncoding) {
		t.Errorf("unknown encoding: %v", err)
	}
}

func TestDecodingInvertsEncoding(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		data := make([]byte, rng.IntN(20_000))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		var b64, qp bytes.Buffer
		w := base64.NewEncoder(base64.StdEncoding, &b64)
		w.Write(data)
		w.Close()
		q := quotedprintable.NewWriter(&qp)
		q.Binary = true
		q.Write(data)
		q.Close()
		for encoding, in := range map[string]*bytes.Buffer{"base64": &b64, "quoted-printable": &qp} {
			r, _ := DecodeReader(iotest.HalfReader(in), encoding)
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%s of %d octets: %d, %v", encoding, len(data), len(got), err)
			}
		}
	}
}

func TestReadErrorsAreKept(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	r, _ := DecodeReader(io.MultiReader(strings.NewReader("aGVs"), iotest.ErrReader(broken)), "base64")
	if got, err := io.ReadAll(r); string(got) != "hel" || !errors.Is(err, broken) {
		t.Errorf("%q %v", got, err)
	}
}

func FuzzDecodeReader(f *testing.F) {
	f.Add([]byte("a=3D \r\n=\r\n=ZZ"), uint8(3))
	f.Add([]byte("aGVs\r\nbG8==x"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, cut uint8) {
		for _, encoding := range []string{"base64", "quoted-printable"} {
			whole, _ := DecodeReader(bytes.NewReader(in), encoding)
			n := min(int(cut), len(in))
			pieces, _ := DecodeReader(io.MultiReader(bytes.NewReader(in[:n]), iotest.OneByteReader(bytes.NewReader(in[n:]))), encoding)
			a, errA := io.ReadAll(whole)
			b, errB := io.ReadAll(pieces)
			if errA != nil || errB != nil || !bytes.Equal(a, b) || len(a) > len(in) {
				t.Fatalf("%s %q: %q %v, in pieces %q %v", encoding, in, a, errA, b, errB)
			}
		}
	})
}
