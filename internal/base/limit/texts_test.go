package limit

import (
	"strconv"
	"strings"
	"testing"
)

func TestATextIsReadOnceAndRoomIsBounded(t *testing.T) {
	t.Parallel()
	var x Texts[int]
	reads := 0
	size := func(s string) int { reads++; return len(s) }
	for range 3 {
		if got := x.Read("abc", size); got != 3 || reads != 1 {
			t.Fatalf("%d after %d reads", got, reads)
		}
	}
	for i := range 2 * MaxTexts {
		x.Read(strconv.Itoa(i), size)
	}
	reads = 0
	for range 2 {
		x.Read(strings.Repeat("x", MaxText+1), size)
	}
	if x.Len() != MaxTexts || reads != 2 {
		t.Errorf("%d are kept, the long one was read %d times", x.Len(), reads)
	}
}
