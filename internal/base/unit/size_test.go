package unit

import "testing"

func TestSizesAreReadAndWritten(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Size
		text string
	}{
		{"0", 0, "0"}, {"4000", 4000, "4000"}, {"50MB", 50 * MB, "50MB"}, {"50 MiB", 50 * MB, "50MB"},
		{"1k", KB, "1KB"}, {"1536KB", 1536 * KB, "1536KB"}, {"2tb", 2 * TB, "2TB"}, {"7B", 7, "7"},
	} {
		got, err := ParseSize(c.in)
		if err != nil || got != c.want || got.String() != c.text {
			t.Errorf("ParseSize(%q) = %v (%d), %v; want %s", c.in, got, got, err, c.text)
		}
	}
	for _, bad := range []string{"", "MB", "-1", "1.5MB", "9999999999TB", "ten"} {
		if _, err := ParseSize(bad); err == nil {
			t.Errorf("ParseSize(%q) succeeded", bad)
		}
	}
}

func TestSizesReadWell(t *testing.T) {
	for size, want := range map[Size]string{0: "0 B", 501: "501 B", 10 * KB: "10 KB", 1500: "1.5 KB", 38033879040: "35.4 GB"} {
		if got := size.Words(); got != want {
			t.Errorf("%d: %s", size, got)
		}
	}
}
