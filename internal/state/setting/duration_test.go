package setting

import (
	"strings"
	"testing"
)

// A time that is too long is not called none.
func TestTimesThatAreTooLongAreSaidToBe(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"99999999d": "too long", "99999999999h": "too long", "106751d23h59m": "too long", "106751d": "",
		"d": "is not a time", "xd": "is not a time", "9": "is not a time", "1x": "is not a time", "": "is not a time", "-1d": "is not a time",
	} {
		_, err := ParseDuration(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
